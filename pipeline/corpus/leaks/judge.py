"""Which training documents hold held-out text, and where. Pure; knows no file.

A document leaks when it has so many rare n-grams of one held-out text (``Index.need``), or of all of them together
``min_hits``, or half of its own. An n-gram is rare when no more than ``common`` training documents have it: others are
licences, idioms and famous quotes. (Near-copies were reduced to one before this, so a leak is rare by construction.)
A benchmark's item, though, may be quoted everywhere: a document that holds a whole text of one leaks, rare or not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.leaks.config import DecontaminateConfig
from pipeline.corpus.leaks.index import SHARE, Index, lookup
from pipeline.corpus.shingles import I64, U64, WORD, grams

_SENTENCE = re.compile(r"(?<=[.!?])[\"'\u2019\u201d)\]]*\s+|\n\s*\n")
REACH = 400  # characters that a cut grows at most to reach the end of a sentence


@dataclass(frozen=True)
class Leak:
    """A training document that holds text of a held-out one: ``hits`` rare n-grams, most of them of ``held``.

    Where it has too few of those, the n-grams of a whole text of an item.
    """

    document: int
    held: int
    hits: int


def judge(
    document: I64, gram: I64, sizes: I64, index: Index, rare: NDArray[np.bool_], config: DecontaminateConfig
) -> list[Leak]:
    """The leaks, in order of document, from the result of ``find``."""
    found = {int(d): Leak(int(d), int(index.texts[t, 2]), _size(index, t)) for d, t in _wholes(document, gram, index)}
    document, gram = document[rare[gram]], gram[rare[gram]]
    pairs, shared = _shared(document, gram, index.pairs)
    holds = shared >= index.need[pairs[:, 1]]
    hits = np.bincount(document, minlength=len(sizes))
    long = np.bincount(document[index.short[gram] == 0], minlength=len(sizes))
    whole = (long > 0) & (long >= np.minimum(config.min_hits, SHARE * sizes))
    # For each document its best partner: one that it holds, then the one with the most n-grams, then the first.
    order = np.lexsort((pairs[:, 1], -shared, ~holds, pairs[:, 0]))
    best = order[np.unique(pairs[order, 0], return_index=True)[1]]
    for i, (d, held) in zip(best.tolist(), pairs[best].tolist(), strict=True):
        if holds[i] or whole[d]:
            found[d] = Leak(d, held, int(hits[d]))
    return [leak for _, leak in sorted(found.items())]


def _shared(document: I64, gram: I64, pairs: I64) -> tuple[I64, I64]:
    """Each (document, what ``pairs`` sets beside an n-gram of it), sorted, and for how many n-grams."""
    first = np.searchsorted(pairs[:, 0], gram)
    count = np.searchsorted(pairs[:, 0], gram, side="right") - first
    at = _ranges(first, count)
    both = np.stack([np.repeat(document, count), pairs[at, 1]], axis=1)
    return np.unique(both, axis=0, return_counts=True)


def _ranges(first: I64, count: I64) -> I64:
    """The numbers of ranges, one after the other."""
    made: I64 = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum(), dtype=np.int64)
    return made


def _wholes(document: I64, gram: I64, index: Index) -> I64:
    """[n, 2]: (document, text of an item) where the document has all n-grams of the text."""
    number = np.arange(len(index.texts))
    tried, _ = _shared(document, gram, np.stack([index.texts[:, 0], number], axis=1))
    size = np.diff(index.texts[:, 1], prepend=0)[tried[:, 1]]
    at = _ranges(index.texts[tried[:, 1], 1] - size, size)
    grams_of = len(index.hashes)
    has = np.isin(np.repeat(tried[:, 0], size) * grams_of + index.parts[at], document * grams_of + gram)
    count = np.bincount(np.repeat(np.arange(len(tried)), size)[has], minlength=len(tried))
    found: I64 = tried[count == size]
    return found


def _size(index: Index, text: int) -> int:
    return int(index.texts[text, 1] - (index.texts[text - 1, 1] if text else 0))


def spans(text: str, index: Index, rare: NDArray[np.bool_], config: DecontaminateConfig) -> list[tuple[int, int]]:
    """Character ranges of the held-out n-grams in a text, grown to the ends of sentences, apart and in order.

    Of the rare ones, and those of the items' texts that it holds whole.

    Empty where the words of the text cannot be placed (a letter that is two words in lower case).
    """
    words = [found.span() for found in WORD.finditer(text)]
    found: list[tuple[int, int, int]] = []  # n-gram, start, end
    for length, short in ((config.words, 0), (config.min_words, 1)):
        made = grams([text], length, whole=not short).hashes
        if len(made) != max(len(words) - length + 1, 0 if short else min(len(words), 1)):
            return []
        place = lookup(made, index.hashes)
        for i in np.flatnonzero((place >= 0) & (index.short[place] == short)).tolist():
            found.append((int(place[i]), words[i][0], words[min(i + length, len(words)) - 1][1]))
    own = np.unique(np.array([gram for gram, _, _ in found], np.int64))
    whole = {
        gram
        for _, t in _wholes(np.zeros_like(own), own, index).tolist()
        for gram in index.parts[index.texts[t, 1] - _size(index, t) : index.texts[t, 1]].tolist()
    }
    ranges = [(start, end) for gram, start, end in found if rare[gram] or gram in whole]
    ends = [0, *(found.end() for found in _SENTENCE.finditer(text)), len(text)]
    made_apart: list[tuple[int, int]] = []
    for start, end in sorted(_grown(ends, *both) for both in ranges):
        if made_apart and start <= made_apart[-1][1]:
            made_apart[-1] = made_apart[-1][0], max(end, made_apart[-1][1])
        else:
            made_apart.append((start, end))
    return made_apart


def _grown(ends: list[int], start: int, end: int) -> tuple[int, int]:
    before = ends[int(np.searchsorted(ends, start, side="right")) - 1]
    after = ends[min(int(np.searchsorted(ends, end)), len(ends) - 1)]
    return (before if start - before <= REACH else start), (after if after - end <= REACH else end)


def holding(index: Index, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which held-out texts have as many n-grams among those present as they need to be found."""
    count = np.bincount(index.pairs[present[index.pairs[:, 0]], 1], minlength=len(index.names))
    return (index.need > 0) & (count >= index.need)


def knows(still: U64, words: int, min_hits: int) -> Callable[[str], bool]:
    """Whether a text stands in the training text, by the same measure but with boilerplate counted.

    ``still`` are the hashes of the held-out n-grams that the training text has after the leaks are gone.
    """
    shared = np.unique(still)

    def known(text: str) -> bool:
        own = grams([text], words, whole=True).hashes
        hits = int(np.isin(own, shared).sum())
        return hits > 0 and hits >= min(min_hits, SHARE * len(own))

    return known
