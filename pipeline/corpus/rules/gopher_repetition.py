"""The repetition rules of Gopher (arXiv 2112.11446, section A1.1, table A1): does a document say one thing again?

A line, paragraph or n-gram is repeated where it stood there before; the first does not count. Characters that several
repeated n-grams share count once, as the paper asks. Marks are words of the n-grams; shares are of all characters.
"""

from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.rules.config import GopherRepetitionConfig
from pipeline.corpus.rules.seen import Published, Rule, Seen
from pipeline.corpus.shingles import I64, U64, mix

FAMILY = "gopher_repetition"
LONGEST_TOP = 4  # words of the longest n-gram whose most frequent is asked for
_BASE = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.zeros(1, np.int64)


class Level(NamedTuple):
    """The n-grams of one length that stand in a text more than once."""

    places: I64  # where each begins, in the order of the text
    hashes: U64  # of each; two n-grams are equal where their 64-bit hashes are
    most: int  # times that the most frequent stands there, 0 where none repeats; up to LONGEST_TOP
    first: int  # where it stands first; of several, the one that stands first


NONE = Level(np.zeros(0, np.int64), np.zeros(0, np.uint64), 0, 0)


class Grams:
    """The n-grams of one text. An n-gram repeats only where both (n - 1)-grams in it do, so each level is made of the
    one before and is smaller."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.characters = max(1, len(seen.text))
        self._levels: dict[int, Level] = {}

    @cached_property
    def ends(self) -> I64:
        """[words + 1] characters of the words before each."""
        return np.concatenate((_ZERO, np.cumsum(self.seen.tokens["length"], dtype=np.int64)))

    @cached_property
    def words(self) -> U64:
        """Hash of each word."""
        return np.ascontiguousarray(self.seen.tokens["hash"])

    def level(self, n: int) -> Level:
        if n not in self._levels:
            if n == 1:
                self._levels[n] = Level(np.arange(len(self.words)), self.words, 0, 0)
            else:
                self._levels[n] = self._longer(self.level(n - 1), n)
        return self._levels[n]

    def _longer(self, shorter: Level, n: int) -> Level:
        fit = np.searchsorted(shorter.places, len(self.words) - n, side="right")
        places = shorter.places[:fit]
        if len(places) < 2:
            return NONE
        hashes = mix(shorter.hashes[:fit] * _BASE + self.words[places + (n - 1)])
        order = np.argsort(hashes)
        ordered = hashes[order]
        edge = np.ones(len(ordered) + 1, bool)  # a run of equal hashes begins here, or ends before
        np.not_equal(ordered[1:], ordered[:-1], out=edge[1:-1])
        often = np.empty(len(ordered), bool)
        often[order] = ~(edge[1:] & edge[:-1])
        most, first = _most_frequent(order, edge) if n <= LONGEST_TOP else (0, 0)
        return Level(places[often], hashes[often], most, int(places[first]))

    def top(self, n: int) -> float:
        """Share of characters in the most frequent n-gram, blanks between its words included; 0 where none repeats."""
        level = self.level(n)
        characters = int(self.ends[level.first + n] - self.ends[level.first]) + n - 1 if level.most else 0
        return min(1.0, level.most * characters / self.characters)

    def repeated(self, n: int) -> float:
        """Share of characters, blanks apart, in n-grams that stood there before; read from left to right, the next
        n-gram begins after one that repeats."""
        level = self.level(n)
        if not len(level.places):
            return 0.0
        before: set[int] = set()
        starts: list[int] = []
        free = 0
        for place, value in zip(level.places.tolist(), level.hashes.tolist(), strict=True):
            if place < free:
                continue
            if value in before:
                starts.append(place)
                free = place + n
            else:
                before.add(value)
        found = np.array(starts, np.int64)
        return int((self.ends[found + n] - self.ends[found]).sum()) / self.characters


def _most_frequent(order: I64, edge: NDArray[np.bool_]) -> tuple[int, int]:
    """Length of the longest run, and the least of ``order`` in it or in others as long; 0 where no run is longer
    than 1."""
    edges = np.flatnonzero(edge)
    counts = edges[1:] - edges[:-1]
    most = int(counts.max())
    if most < 2:
        return 0, 0
    return most, int(np.minimum.reduceat(order, edges[:-1])[counts == most].min())


def repeated_lines(grams: Grams) -> float:
    """Share of lines that stood there before."""
    return grams.seen.repeated_lines[0] / max(1, len(grams.seen.lines))


def repeated_line_characters(grams: Grams) -> float:
    """Share of characters in such lines."""
    return grams.seen.repeated_lines[1] / grams.characters


def repeated_paragraphs(grams: Grams) -> float:
    """Share of paragraphs that stood there before."""
    return grams.seen.repeated_paragraphs[0] / max(1, len(grams.seen.paragraphs))


def repeated_paragraph_characters(grams: Grams) -> float:
    """Share of characters in such paragraphs."""
    return grams.seen.repeated_paragraphs[1] / grams.characters


RULES: tuple[Rule[Grams], ...] = (
    Rule(repeated_paragraphs, ">", "repeated_paragraphs"),
    Rule(repeated_paragraph_characters, ">", "repeated_paragraph_characters"),
    Rule(repeated_lines, ">", "repeated_lines"),
    Rule(repeated_line_characters, ">", "repeated_line_characters"),
    *(Rule(partial(Grams.top, n=n), ">", f"top_{n}_gram") for n in (2, 3, 4)),
    *(Rule(partial(Grams.repeated, n=n), ">", f"repeated_{n}_grams") for n in (5, 6, 7, 8, 9, 10)),
)


def _measured(seen: Seen, config: GopherRepetitionConfig) -> Grams:
    return Grams(seen)


_FAMILY = Published(FAMILY, RULES, _measured)
make, broken = _FAMILY.make, _FAMILY.broken
