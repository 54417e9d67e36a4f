"""Which of many segments are the first of their kind, and which need a closer look. Knows hashes, not text.

``decide`` errs only where two different hoods have one 128-bit hash: for n of them with probability n^2 / 2^129, 1e-17
for the 1e11 or so of 5 TB of text.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.shingles import I64, U64

QUESTION = np.dtype([("key", "<u8"), ("hood", "<u8", (2,)), ("document", "<u8", (2,))])
ALONE, LATER, OPEN = 0, 1, 2  # no window is elsewhere before; all are; only finer segments can tell


def first_of(values: U64) -> I64:
    """For each row of [n, 2] the least index of an equal row."""
    order = np.argsort(values[:, 0])
    ordered = values[order]
    halves = ordered[1:] == ordered[:-1]
    if (halves[:, 0] & ~halves[:, 1]).any():
        order = np.lexsort((values[:, 1], values[:, 0]))
        ordered = values[order]
        halves = ordered[1:] == ordered[:-1]
    heads = np.flatnonzero(np.concatenate([[True] * (len(values) > 0), ~halves.all(axis=1)]))
    first = np.empty(len(values), np.int64)
    if len(values):
        first[order] = np.repeat(np.minimum.reduceat(order, heads), np.diff(heads, append=len(values)))
    return first


def decide(asked: NDArray[np.void]) -> tuple[NDArray[np.uint8], I64]:
    """The fate of each question, which come in the order of the corpus, and the first one with the same hood."""
    first = first_of(asked["hood"])
    fate = np.full(len(asked), LATER, np.uint8)
    heads = np.flatnonzero(first == np.arange(len(asked)))
    keys = asked["key"][heads]
    order = np.argsort(keys)
    same = keys[order][1:] == keys[order][:-1]
    shared = np.zeros(len(heads), bool)
    shared[order[1:]] |= same
    shared[order[:-1]] |= same
    fate[heads] = np.where(shared, OPEN, ALONE)
    return fate, first
