"""Precision and recall on real text against Jaccard indexes of all pairs, which know nothing of our hashes.

The text is the standard library's source, cut at blank lines into documents of 1 to 3 KB, and every
fourth of these once more without some of its lines: copies near the threshold and far above it.
"""

import random
import re
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from pipeline.rows import Row
from tests.pipeline.corpus.near.stage import Stage, row

THRESHOLD, CONTAINMENT = 0.75, 0.95


def library_text() -> list[str]:
    """Documents of the encodings, whose tables are near-copies of each other, and of some modules."""
    top = Path(sysconfig.get_paths()["stdlib"])
    paths = [*sorted((top / "encodings").glob("*.py")), *sorted(top.glob("[a-h]*.py"))]
    if len(paths) < 100:
        pytest.skip("the standard library's source is not here")
    made: dict[str, None] = {}
    for path in paths:
        held = ""
        for part in re.split(r"\n\s*\n", path.read_text(errors="replace")):
            held += part + "\n\n"
            if len(held) > 1_000:
                made[held[:3_000]] = None
                held = ""
    return list(made)


def damaged(text: str, draw: random.Random) -> str:
    """A copy without some of its lines."""
    lines = text.split("\n")
    share = draw.choice((0.02, 0.05, 0.1, 0.2))
    return "\n".join(line for line in lines if draw.random() > share)


@pytest.fixture(scope="module")
def documents() -> list[Row]:
    draw = random.Random(5)
    texts = library_text()
    return [row(text) for text in dict.fromkeys([*texts, *(damaged(text, draw) for text in texts[::4])])]


@pytest.fixture(scope="module")
def common(documents: list[Row]) -> tuple[Any, Any]:
    """How many shingles each two documents share, and how many each has: a product of sparse matrices."""
    number: dict[tuple[str, ...], int] = {}
    at, indices = [0], []
    for document in documents:
        words = re.findall(r"[^\W_]+", document["text"].lower())
        own = {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()
        indices += [number.setdefault(shingle, len(number)) for shingle in own]
        at.append(len(indices))
    has = csr_array((np.ones(len(indices), np.int32), indices, at), shape=(len(documents), len(number)))
    return (has @ has.T).tocoo(), np.diff(at)


def test_precision_and_recall_on_real_text(tmp_path: Path, documents: list[Row], common: tuple[Any, Any]) -> None:
    shared, size = common
    similar, inside = {}, {}
    for a, b, count in zip(shared.row.tolist(), shared.col.tolist(), shared.data.tolist(), strict=True):
        if a != b:
            similar[a, b] = count / (size[a] + size[b] - count)
            inside[a, b] = count / size[a]
    stage = Stage(tmp_path, documents, 2, threshold=THRESHOLD, containment=CONTAINMENT)
    counts = stage.near()
    number = {document["id"]: i for i, document in enumerate(documents)}
    fates = {number[gone]: fate for gone, fate in stage.fates().items()}
    for gone, fate in fates.items():  # precision: each removal is true, and its score is exact
        kept = number[fate["partner"]]
        truth = similar if fate["reason"] == "similar_text" else inside
        assert kept not in fates and fate["score"] == pytest.approx(truth[gone, kept], abs=1e-6)
        assert fate["score"] >= (THRESHOLD if fate["reason"] == "similar_text" else CONTAINMENT)
    near = [pair for pair, score in similar.items() if pair[0] < pair[1] and score >= THRESHOLD]
    recall = {}
    for low, high in ((0.75, 0.8), (0.8, 0.9), (0.9, 1.01)):  # pairs of which one is gone
        own = [pair for pair in near if low <= similar[pair] < high]
        recall[low] = sum(a in fates or b in fates for a, b in own) / len(own)
        assert len(own) >= 40
    due = _greedy(documents, similar)
    found = len(due & fates.keys()) / len(due)
    print(f"{len(documents)} documents, {len(near)} near pairs, gone {counts['removed']}, {recall}, of due {found:.3f}")
    assert recall[0.9] > 0.995 and recall[0.8] > 0.97 and recall[0.75] > 0.9
    assert len(due) >= 150 and found > 0.95


def _greedy(documents: list[Row], similar: dict[tuple[int, int], float]) -> set[int]:
    """What would go if all pairs were compared, in our order of preference."""
    order = sorted(range(len(documents)), key=lambda i: (-len(documents[i]["text"].encode()), documents[i]["id"]))
    close: dict[int, list[int]] = {}
    for (a, b), score in similar.items():
        if score >= THRESHOLD:
            close.setdefault(a, []).append(b)
    kept: set[int] = set()
    for i in order:
        if not kept.intersection(close.get(i, ())):
            kept.add(i)
    return set(range(len(documents))) - kept
