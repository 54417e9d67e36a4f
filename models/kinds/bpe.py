"""Byte pair encoding (Sennrich et al. 2016, arXiv 1508.07909, algorithm 1) from counted words. Knows no text.

Exact: each step merges the pair with the highest count, everywhere, from left to right. Of equal counts the pair with
the lower id on the left wins, then the lower on the right; this is the rule of the `tokenizers` library too, and the
merges are equal to its own. Ids are given in the order of the alphabet and then of the merges, so where the alphabet
stands in the order of its bytes, ties are settled by count, then bytes for single symbols, then age for made tokens.

A token is made by one merge only: until it is whole nothing has joined its letters to their neighbours, so they went
through the same merges wherever they stand. Each merge therefore makes a new token, and new pairs only ever hold it.

All words stand in one array with a boundary after each; symbols are linked to their neighbours, and each pair knows the
places where it began, so that a step costs as much as it changes. Counts are 64-bit integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]

_BOUNDARY, _MERGED = -1, -2  # what is no symbol: the end of a word, and the right half of a merge


@dataclass(frozen=True)
class Learnt:
    """Tokens by id (the alphabet first), and the merges in order as pairs of ids."""

    tokens: list[str]
    merges: list[tuple[int, int]]

    def pairs(self) -> list[tuple[str, str]]:
        """The merges as pairs of tokens."""
        return [(self.tokens[left], self.tokens[right]) for left, right in self.merges]


def learn(symbols: I32, lengths: I64, counts: I64, alphabet: Sequence[str], size: int, prefix: str = "") -> Learnt:
    """Merge until there are ``size`` tokens, or no pair is left.

    Args:
        symbols: ids of the symbols of all words, end to end; an id is a place in the alphabet.
        lengths: symbols of each word.
        counts: how often each word was seen.
        alphabet: the tokens there are to begin with.
        prefix: what tokens inside of a word begin with ("##"); the right half of a merge loses it.
    """
    tokens = list(alphabet)
    merges: list[tuple[int, int]] = []
    pairs = _Pairs(symbols, lengths, counts)
    while len(tokens) < size:
        best = pairs.best()
        if best is None:
            break
        pairs.merge(*best, len(tokens))
        tokens.append(tokens[best[0]] + tokens[best[1]].removeprefix(prefix))
        merges.append(best)
    return Learnt(tokens, merges)


class _Pairs:
    """The words, how often each pair of neighbours stands in them, and where. A pair is ``left << 32 | right``."""

    def __init__(self, symbols: I32, lengths: I64, counts: I64) -> None:
        total = len(symbols) + len(lengths) + 1
        assert total < 2**31, "places are 32-bit: fewer words"
        word = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self._symbol = np.full(total, _BOUNDARY, np.int32)
        self._symbol[np.arange(1, len(symbols) + 1) + word] = symbols  # one boundary before each word
        self._next = np.arange(1, total + 1, dtype=np.int32)
        self._previous = np.arange(-1, total - 1, dtype=np.int32)
        self._weight = np.concatenate([[0], np.repeat(counts.astype(np.int64), lengths + 1)])
        self._count: dict[int, int] = {}
        self._places: dict[int, I32] = {}
        self._heap: list[tuple[int, int]] = []
        left, right = self._symbol[:-1], self._symbol[1:]
        at = np.flatnonzero((left >= 0) & (right >= 0)).astype(np.int32)
        self._gain(_keys(left[at], right[at]), at, self._weight[at])
        heapify(self._heap)

    def best(self) -> tuple[int, int] | None:
        """The pair with the highest count above zero, of equal ones the lowest."""
        while self._heap:
            negative, key = heappop(self._heap)
            count = self._count.get(key, 0)
            if count == -negative:
                return key >> 32, key & 0xFFFFFFFF
            if count:  # it has lost some since
                heappush(self._heap, (-count, key))
        return None

    def merge(self, a: int, b: int, token: int) -> None:
        """Put ``token`` in the place of each ``a b``."""
        key = a << 32 | b
        symbol, after = self._symbol, self._next
        at = self._places.pop(key)
        at = at[(symbol[at] == a) & (symbol[after[at]] == b)]
        if a == b:
            at = _every_other(at, after)
        gone = after[at]
        before, beyond = self._previous[at], after[gone]
        symbol[gone] = _MERGED
        left, right, weight = symbol[before], symbol[beyond], self._weight[at]
        has_left, has_right = left >= 0, right >= 0  # what stands left of a second merge in a row is _MERGED
        left, before, left_weight = left[has_left], before[has_left], weight[has_left]
        right_weight = weight[has_right]
        del self._count[key]
        weights = np.concatenate([left_weight, right_weight])
        self._lose(np.concatenate([_keys(left, a), _keys(b, right[has_right])]), weights)
        symbol[at] = token
        after[at] = beyond
        self._previous[beyond] = at
        gained = np.concatenate([_keys(left, token), _keys(token, symbol[beyond[has_right]])])
        self._gain(gained, np.concatenate([before, at[has_right]]), weights)

    def _lose(self, keys: I64, weights: I64) -> None:
        _, _, keys, sums = _grouped(keys, weights)
        for key, weight in zip(keys.tolist(), sums.tolist(), strict=True):
            count = self._count.get(key, 0) - weight
            if count > 0:
                self._count[key] = count
            elif self._count.pop(key, 0):  # none where it is the pair that is merged, which overlaps itself (a a a)
                del self._places[key]

    def _gain(self, keys: I64, places: I32, weights: I64) -> None:
        order, starts, keys, sums = _grouped(keys, weights)
        places = places[order]
        bounds = [*starts.tolist(), len(places)]
        for key, weight, start, end in zip(keys.tolist(), sums.tolist(), bounds, bounds[1:], strict=False):
            self._count[key], self._places[key] = weight, places[start:end]
            heappush(self._heap, (-weight, key))


def _keys(left: Any, right: Any) -> I64:
    keys: I64 = np.asarray(left, np.int64) << 32 | np.asarray(right, np.int64)
    return keys


def _every_other(at: I32, after: I32) -> I32:
    """Of places that overlap in a row (a a a) the first, the third and so on."""
    at = np.sort(at)
    turn = np.arange(len(at))
    begins = np.ones(len(at), bool)
    begins[1:] = after[at[:-1]] != at[1:]
    kept: I32 = at[(turn - np.maximum.accumulate(np.where(begins, turn, 0))) % 2 == 0]
    return kept


def _grouped(keys: I64, weights: I64) -> tuple[I64, I64, I64, I64]:
    """The order that sorts the keys, where each distinct key begins in it, the distinct keys, and their weights."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    sums = np.add.reduceat(weights[order], starts) if len(starts) else weights
    return order, starts, keys[starts], sums
