"""Byte ranges of documents: their union, and what is left of them when they may cut no character or word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.shingles import I64, U64
from pipeline.corpus.substring.windows import Text

_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Ranges:
    """[start, end) of the bytes of a piece, and the document [n, 2] (its id's two halves) where each stands first."""

    start: I64
    end: I64
    partner: U64

    def take(self, which: NDArray[np.generic]) -> "Ranges":
        return Ranges(self.start[which], self.end[which], self.partner[which])


def join(parts: Sequence[Ranges]) -> Ranges:
    """All of some ranges, in the order given."""
    start, end, partner = (np.concatenate([getattr(p, name) for p in parts]) for name in ("start", "end", "partner"))
    return Ranges(start, end, partner)


def union(text: Text, found: Ranges) -> Ranges:
    """Sorted and disjoint; ranges that touch are one, with the partner of the one that begins first."""
    found = found.take(np.argsort(found.start, kind="stable"))
    end = np.maximum.accumulate(found.end)
    document = text.document(found.start)
    apart = (found.start[1:] > end[:-1]) | (document[1:] != document[:-1])
    heads = np.flatnonzero(np.concatenate([[True] * (len(end) > 0), apart]))
    tails = np.concatenate([heads[1:] - 1, [len(end) - 1] * (len(end) > 0)]).astype(np.int64)
    return Ranges(found.start[heads], end[tails], found.partner[heads])


def snap(text: Text, found: Ranges, words: bool) -> Ranges:
    """Shrink sorted ranges to whole characters, or so that no word is cut and no two are glued together.

    A word is a run of ASCII letters and digits and of characters from U+0080 to U+1FFF; from U+2000 on, where Chinese
    and Japanese are, each character stands for itself.
    """
    found = _characters(text, found)
    return _words(text, found) if words else found


def _characters(text: Text, found: Ranges) -> Ranges:
    start, end = found.start.copy(), found.end.copy()
    for _ in range(3):  # a character has at most three bytes after its first
        start += _continues(text, start)
        end -= _continues(text, end)
    return Ranges(start, end, found.partner).take(start < end)


def _continues(text: Text, at: I64) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (text.data.take(at, mode="clip") & 0xC0 == 0x80) & (at < len(text.data))
    return inside


def _words(text: Text, found: Ranges) -> Ranges:
    start, end = found.start.copy(), found.end.copy()
    low = 0
    while low < len(text.ends):
        begin = int(text.ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(text.ends, begin + _BYTES_AT_ONCE, side="right")))
        a, b = np.searchsorted(found.start, [begin, int(text.ends[high - 1])])
        if b > a:
            starts, ends = _edges(text, begin, low, high)
            start[a:b] = starts[np.searchsorted(starts, start[a:b])]
            end[a:b] = ends[np.searchsorted(ends, end[a:b], side="right") - 1]
        low = high
    return Ranges(start, end, found.partner).take(start < end)


def _edges(text: Text, begin: int, low: int, high: int) -> tuple[I64, I64]:
    """Where a range may begin, and where it may end, in the documents [low, high), which begin at ``begin``."""
    data = text.data[begin : text.ends[high - 1]]
    character = np.flatnonzero((data & 0xC0) != 0x80)
    word = _WORD[data[character]]
    before = np.concatenate([[False], word[:-1]])[: len(word)]
    at = np.searchsorted(character, text.ends[low : high - 1] - begin)
    before[at[at < len(before)]] = False  # a document's first character follows none
    whole = np.array([len(data)])
    starts = np.concatenate([character[~before], whole])
    ends = np.concatenate([character[~(before & word)], whole])
    return starts + begin, ends + begin


_WORD = np.zeros(256, bool)  # of a character's first byte
_WORD[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)] = True
_WORD[0xC2:0xE2] = True
