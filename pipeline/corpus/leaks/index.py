"""The n-grams of what is held out, each with the texts that have it. Knows no training document.

Two lengths: n-grams of ``words`` words, and for benchmark items of fewer words, of ``short`` words. (An item of 8 to 12
words is found when all its 8-grams are.) Items of still fewer words cannot be told from chance, and are only counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.corpus.leaks.benchmarks import Item
from pipeline.corpus.leaks.config import DecontaminateConfig
from pipeline.corpus.shingles import I64, U64, Grams, grams
from pipeline.stage import StageFolder

SHARE = 0.5
"""Of the n-grams of a text that is so short that it has fewer than ``min_hits`` twice over."""

_TEXTS = ("key", "end", "held")
BATCH = 8_000_000  # characters of text that are hashed together

_PIECES = {name: f"work/decontaminate/index/{name}.parquet" for name in ("grams", "pairs", "held", "parts", "texts")}


@dataclass(frozen=True)
class Index:
    """``hashes`` are sorted; ``pairs`` (n-gram, held-out text) are sorted too, and positions in the other arrays.

    ``need`` is how many of its n-grams a held-out text must share with a document to be held by it; 0: it has none.
    ``parts`` are the n-grams of the single texts of benchmark items, text after text. ``texts`` [texts, 3] are sorted:
    of each text the n-gram that the fewest texts have, where it ends in ``parts``, and its item.
    """

    hashes: U64
    short: I64  # 1 for n-grams of the short length
    pairs: I64
    need: I64
    names: list[str]  # id of a held-out document, or benchmark:record
    parts: I64
    texts: I64

    def write(self, folder: StageFolder) -> None:
        folder.write_table(_PIECES["grams"], pa.table({"hash": self.hashes, "short": self.short.astype(np.uint8)}))
        gram, held = self.pairs.T.astype(np.uint32)
        folder.write_table(_PIECES["pairs"], pa.table({"gram": gram, "held": held}))
        names = pa.array(self.names, pa.string())
        folder.write_table(_PIECES["held"], pa.table({"name": names, "need": self.need}))
        folder.write_table(_PIECES["parts"], pa.table({"gram": self.parts.astype(np.uint32)}))
        folder.write_table(_PIECES["texts"], pa.table(dict(zip(_TEXTS, self.texts.T, strict=True))))

    @classmethod
    def load(cls, folder: StageFolder) -> "Index":
        found, pairs, held, parts, texts = (folder.read_table(piece) for piece in _PIECES.values())
        columns = [pairs[name].to_numpy().astype(np.int64) for name in ("gram", "held")]
        short = found["short"].to_numpy().astype(np.int64)
        return cls(
            found["hash"].to_numpy(),
            short,
            np.stack(columns, axis=1),
            held["need"].to_numpy(),
            held["name"].to_pylist(),
            parts["gram"].to_numpy().astype(np.int64),
            np.stack([texts[name].to_numpy() for name in _TEXTS], axis=1),
        )

    def of_items(self) -> NDArray[np.bool_]:
        """The n-grams of benchmark items."""
        found = np.zeros(len(self.hashes), bool)
        found[self.parts] = True
        return found


class Maker:
    """Takes held-out documents and items as they come, texts let go at once, and makes the index."""

    def __init__(self, config: DecontaminateConfig) -> None:
        self._config = config
        self._names: list[str] = []
        self._hashes: list[U64] = []
        self._short: list[bool] = []
        self._texts: dict[bytes, int] = {}  # n-grams of a text of an item -> the first item that has it

    def documents(self, ids: list[str], texts: list[str]) -> None:
        """Held-out documents; one of few words has one n-gram, all of it."""
        made = grams(texts, self._config.words, whole=True)
        for i, name in enumerate(ids):
            self._add(name, made.of(i), False)

    def items(self, items: Iterable[Item]) -> None:
        """Items of a benchmark: of texts that are long enough for an n-gram, else of those long enough for a short."""
        for item in items:
            found = grams(item.texts, self._config.words)
            short = not len(found.hashes)
            found = grams(item.texts, self._config.min_words) if short else found
            for i in range(len(found.ends)):
                if len(found.of(i)):
                    self._texts.setdefault(np.unique(found.of(i)).tobytes(), len(self._names))
            self._add(item.name, found.hashes, short)

    def _add(self, name: str, hashes: U64, short: bool) -> None:
        self._names.append(name)
        self._hashes.append(np.unique(hashes))
        self._short.append(short)

    def index(self) -> Index:
        sizes = np.array([len(own) for own in self._hashes], np.int64)
        every = np.concatenate([np.zeros(0, np.uint64), *self._hashes])
        held = np.repeat(np.arange(len(sizes)), sizes)
        hashes, gram = np.unique(every, return_inverse=True)
        is_short = np.array(self._short, bool)
        short = np.zeros(len(hashes), np.int64)
        short[gram[is_short[held]]] = 1
        half = np.minimum(self._config.min_hits, np.ceil(SHARE * sizes)).astype(np.int64)
        pairs = np.stack([gram.astype(np.int64), held], axis=1)
        pairs, need = pairs[np.lexsort((held, gram))], np.where(is_short, sizes, half)
        return Index(hashes, short, pairs, need, self._names, *self._parts(hashes))

    def _parts(self, hashes: U64) -> tuple[I64, I64]:
        """``Index.parts`` and ``Index.texts``."""
        parts = [np.searchsorted(hashes, np.frombuffer(text, np.uint64)) for text in self._texts]
        often = np.bincount(np.concatenate([np.zeros(0, np.int64), *parts]), minlength=len(hashes))
        key = np.array([part[np.argmin(often[part])] for part in parts], np.int64)
        order = np.argsort(key, kind="stable").tolist()
        ends = np.cumsum([len(parts[i]) for i in order], dtype=np.int64)
        held = np.array(list(self._texts.values()), np.int64)[order]
        return np.concatenate([np.zeros(0, np.int64), *(parts[i] for i in order)]), np.stack(
            [key[order], ends, held], axis=1
        )


def find(texts: list[str], index: Index, config: DecontaminateConfig) -> tuple[I64, I64, I64]:
    """(document, n-gram) of each n-gram of the index that a text has, once a text; and how many long ones texts have.

    Documents are positions in ``texts``, n-grams positions in the index; sorted by both.
    """
    found, sizes, first = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)], 0
    for batch in _batches(texts):
        made = grams(batch, config.words, whole=True)
        found.append(_hits(made, index, first))
        if index.short.any():
            found.append(_hits(grams(batch, config.min_words), index, first))
        sizes.append(np.diff(made.ends, prepend=0))
        first += len(batch)
    rows = np.unique(np.concatenate(found), axis=0)
    return rows[:, 0], rows[:, 1], np.concatenate(sizes)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Runs of texts, of which the n-grams are in memory at once."""
    start, size = 0, 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= BATCH or end == len(texts):
            yield texts[start:end]
            start, size = end, 0


def _hits(made: Grams, index: Index, first: int) -> I64:
    """(text, n-gram of the index), as often as it stands there; the texts are numbered from ``first``."""
    place = lookup(made.hashes, index.hashes)
    hit = np.flatnonzero(place >= 0)
    return np.stack([first + np.searchsorted(made.ends, hit, side="right"), place[hit]], axis=1)


def lookup(hashes: U64, of: U64) -> I64:
    """Where each hash stands among sorted ones; -1 where it does not."""
    place = np.full(len(hashes), -1, np.int64)
    if not len(of):
        return place
    # Most stand nowhere, which a table of the first bits of those sought tells faster than a search.
    shift = np.uint64(max(42, 60 - len(of).bit_length()))
    first = np.zeros(1 << (64 - int(shift)), bool)
    first[of >> shift] = True
    maybe = np.flatnonzero(first[hashes >> shift])
    found = np.minimum(np.searchsorted(of, hashes[maybe]), len(of) - 1)
    hit = of[found] == hashes[maybe]
    place[maybe[hit]] = found[hit]
    return place
