"""Bits per byte on held-out text: which text, which windows, which baseline. Knows no Ray and no folders.

The text of a source is a stream of tokens: an end token, then each document followed by an end token, as in training.
Every token after the first is scored exactly once, end tokens too: the model pays for saying where a document ends, xz
does not. A window reads at most `context` tokens and scores its last `stride` ones, so all but the first tokens of a
stream are scored with at least ``context - stride`` tokens before them.
"""

import lzma
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from models.gpt import GPT
from pipeline.evaluate.score import target_logprobs
from pipeline.evaluate.tasks import Encoder


@dataclass(frozen=True)
class Excerpt:
    """The scored text of one source: documents in order of id up to a cap; the last one may be cut.

    `left_out` counts what the cap left out, in bytes. `tokens[0]` is only read, the rest are scored.
    """

    source: str
    data: bytes
    documents: int
    left_out: int
    tokens: list[int]


@dataclass(frozen=True)
class Window:
    """Reads ``tokens[start:stop]`` and scores the predictions of ``tokens[first:stop + 1]``."""

    source: str
    start: int
    first: int
    stop: int

    @property
    def scored(self) -> int:
        return self.stop + 1 - self.first


def excerpt(source: str, documents: Iterable[tuple[str, str]], encoder: Encoder, cap: int) -> Excerpt:
    """Take (id, text) in order of id until `cap` bytes of UTF-8; the document at the cap is cut before a broken one."""
    tokens, parts, taken, left_out = [encoder.end_id], [], 0, 0
    for _, text in sorted(documents):
        data = text.encode()
        kept = data[: max(0, cap - taken)].decode(errors="ignore")
        size = len(kept.encode())
        left_out += len(data) - size
        if left_out:
            cap = 0  # the cap is reached: a short document later may not slip in
        if not size:
            continue
        taken += size
        parts.append(kept.encode())
        tokens += encoder.encode(kept)
        if size == len(data):
            tokens.append(encoder.end_id)
    return Excerpt(source, b"".join(parts), len(parts), left_out, tokens)


def windows(source: str, length: int, context: int, stride: int) -> list[Window]:
    """Windows over a stream of `length` tokens that score each of tokens 1 .. length-1 once."""
    assert 1 <= stride <= context
    made: list[Window] = []
    first = 1
    while first < length:
        stop = min(first + (stride if made else context), length) - 1
        made.append(Window(source, max(0, stop - context), first, stop))
        first = stop + 1
    return made


@torch.inference_mode()
def window_nats(model: GPT, tokens: Sequence[int], window: Window) -> float:
    """The summed negative log-likelihood of a window's scored tokens, in nats.

    A window runs alone, so its bits depend on no neighbour.
    """
    inputs_1T = torch.tensor([list(tokens[window.start : window.stop])])
    targets_N = torch.tensor(list(tokens[window.first : window.stop + 1]))
    hidden_ND = model.hidden(inputs_1T)[0, window.first - 1 - window.start :]
    logprobs_N, _ = target_logprobs(model.logits(hidden_ND), targets_N)
    return -float(logprobs_N.double().sum())


def xz_bytes(data: bytes) -> int:
    """The size of ``xz -9e`` on the data."""
    return len(lzma.compress(data, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))


def bits_per_byte(nats: float, size: int) -> float:
    """Nats over all tokens of a text of `size` bytes, as bits per byte."""
    return nats / math.log(2) / size if size else math.nan
