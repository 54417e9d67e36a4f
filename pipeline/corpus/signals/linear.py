"""A linear classifier of texts: logistic regression over hashed words, pairs of words and runs of letters.

Its bits are a function of the samples, as a set, and of the settings: features are counted in integers, sums run one
by one in a fixed order, the logistic function is made of plain multiplications (that of a C library depends on the
processor), and a score is a sum of integers. Knows no signal, no file and no threshold.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.errors import CorruptPiece
from pipeline.corpus import shingles
from pipeline.corpus.shingles import I64, U64
from pipeline.corpus.signals.config import LearnerConfig

SCHEME = f"linear-1 over {shingles.SCHEME}"
RUN = 4  # bytes of a run of letters, which also crosses from word to word
ONE = 2**20  # a weight of 1 as an integer

_PAIR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that the first word of a pair is not the second
_FLOOR = 1e-8  # of AdaGrad's sum of squares, so that nothing is divided by 0


@dataclass(frozen=True)
class Linear:
    """Weights [buckets] in units of 1 / ONE, the bias, what the held-out samples said, and the characters looked at."""

    weights: NDArray[np.int32]
    bias: float
    text_characters: int
    facts: dict[str, Any]

    def score(self, text: str) -> float:
        """The probability that a text is like the positive samples, were both kinds equally frequent."""
        found = features(text, len(self.weights), self.text_characters)
        if not len(found):
            return logistic(self.bias)
        total = int(self.weights[found].sum(dtype=np.int64))
        return logistic(self.bias + total / ONE / float(np.sqrt(len(found))))


def features(text: str, buckets: int, text_characters: int) -> I64:
    """The buckets that a text's start fills, sorted, each once: its words, pairs of words, and runs of RUN bytes."""
    start = text[:text_characters].lower()
    data = np.frombuffer(" ".join(["", *start.split(), ""]).encode(errors="surrogatepass"), np.uint8)
    words = shingles.grams([start], 1).hashes
    pairs = shingles.mix(words[:-1] * _PAIR + words[1:])
    filled = np.sort((np.concatenate([words, pairs, _runs(data)]) % np.uint64(buckets)).astype(np.uint32))
    first = np.ones(len(filled), bool)
    np.not_equal(filled[1:], filled[:-1], out=first[1:])
    return filled[first].astype(np.int64)


def _runs(data: NDArray[np.uint8]) -> U64:
    count = max(0, len(data) - RUN + 1)
    value = np.zeros(count, np.uint64)
    for k in range(RUN):
        value = (value << np.uint64(8)) | data[k : k + count]
    return shingles.mix(value)


def logistic(z: float) -> float:
    """1 / (1 + exp(-z)) to twelve digits, by operations that are the same on every processor."""
    x = -min(30.0, max(-30.0, z)) / 1024
    power = 1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5))))
    for _ in range(10):
        power *= power
    return 1 / (1 + power)


def key_of(text: str) -> int:
    """64 bits that order samples and choose among them."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())


def train(positive: Sequence[str], negative: Sequence[str], config: LearnerConfig) -> Linear:
    """Learn from samples, at least two of each kind; those with the smallest keys only measure.

    AdaGrad (Duchi et al., JMLR 12, 2011) over one sample at a time, each kind weighted so that both count the same.
    """
    learn, held = [], []
    for label, texts in ((1.0, positive), (0.0, negative)):
        ordered = sorted((key_of(text), text) for text in set(texts))
        cut = min(len(ordered) - 1, max(1, round(config.heldout * len(ordered))))
        held += [(text, label) for _, text in ordered[:cut]]
        learn += [(key, features(text, config.buckets, config.text_characters), label) for key, text in ordered[cut:]]
    weights, bias = _fit(learn, config)
    whole = np.rint(np.clip(weights, -1_000, 1_000) * ONE).astype(np.int32)
    model = Linear(whole, bias, config.text_characters, {})
    scores = [(model.score(text), label) for text, label in held]
    counts = {"positive": sum(label > 0 for *_, label in learn), "negative": sum(label == 0 for *_, label in learn)}
    return Linear(whole, bias, config.text_characters, {"learnt_from": counts} | measure(scores))


def _fit(samples: list[tuple[int, I64, float]], config: LearnerConfig) -> tuple[NDArray[np.float64], float]:
    weights, squares = np.zeros(config.buckets), np.full(config.buckets, _FLOOR)
    bias, bias_square = 0.0, _FLOOR
    share = sum(label for *_, label in samples) / len(samples)
    balance = {1.0: 0.5 / share, 0.0: 0.5 / (1 - share)}
    keys = np.array([key for key, *_ in samples], np.uint64)
    for epoch in range(config.epochs):
        for i in np.argsort(shingles.mix(keys + np.uint64(epoch)), kind="stable"):
            _, found, label = samples[i]
            own = weights[found]
            size = 1 / float(np.sqrt(max(1, len(found))))
            total = float(np.cumsum(own)[-1]) if len(own) else 0.0  # cumsum adds one by one, sum does not
            slope = (logistic(bias + total * size) - label) * balance[label]
            step = slope * size
            squares[found] += step * step
            weights[found] = own - config.learning_rate * step / np.sqrt(squares[found])
            bias_square += slope * slope
            bias -= config.learning_rate * slope / float(np.sqrt(bias_square))
    return weights, bias


def measure(scores: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Area under the ROC curve, accuracy at 0.5 (the mean of both kinds'), and what each threshold lets pass."""
    values = np.array([score for score, _ in scores])
    good = np.array([label for _, label in scores]) > 0
    up, down = np.sort(values[good]), np.sort(values[~good])
    below = np.searchsorted(down, up, side="left").sum() + np.searchsorted(down, up, side="right").sum()

    def passing(threshold: float) -> dict[str, float]:
        shares = {"positive": np.mean(up >= threshold), "negative": np.mean(down >= threshold)}
        return {"threshold": threshold} | {kind: round(float(share), 4) for kind, share in shares.items()}

    at = passing(0.5)
    return {
        "held_out": {"positive": len(up), "negative": len(down)},
        "auc": round(float(below) / (2 * len(up) * len(down)), 4),
        "accuracy": round((at["positive"] + 1 - at["negative"]) / 2, 4),
        "passing": [passing(tenth / 10) for tenth in range(1, 10)],
    }


def pack(model: Linear) -> bytes:
    """A line of JSON, then the weights as little-endian 32-bit integers."""
    head = {"scheme": SCHEME, "bias": model.bias.hex(), "text_characters": model.text_characters, "facts": model.facts}
    return json.dumps(head, sort_keys=True).encode() + b"\n" + model.weights.astype("<i4").tobytes()


def unpack(data: bytes, name: str) -> Linear:
    """The model of a piece. Raises CorruptPiece for one of another scheme."""
    line, _, weights = data.partition(b"\n")
    head = json.loads(line)
    if head["scheme"] != SCHEME:
        raise CorruptPiece(name, SCHEME, str(head["scheme"]), "Remove the run's corpus folder and run it again")
    values = np.frombuffer(weights, "<i4").astype(np.int32)
    return Linear(values, float.fromhex(head["bias"]), head["text_characters"], head["facts"])
