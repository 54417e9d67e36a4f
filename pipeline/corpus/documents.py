"""The canonical documents of a corpus in P scratch pieces, and what later steps took from them. Knows no rule.

``gather`` writes ``work/docs/N``: documents sorted by id, each id once. A document's *place* is piece << 32 | row, and
places are ordered as ids are. Steps do not write texts anew: they write fates (documents that leave) and cuts (bytes
that leave), and ``load`` gives a later step what is left.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import rows
from pipeline.corpus import shuffle, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.shingles import I64, U64
from pipeline.rows import STEPS, Row
from pipeline.stage import StageFolder

DOCS = "work/docs"
LOCAL = ("split", "substring", "decontaminate")  # steps whose task n speaks of the documents of piece n only
ROWS_A_GROUP = 512  # of a piece's parquet: what is read to fetch one document

FATES = pa.schema(
    [
        ("place", pa.uint64()),
        ("reason", pa.string()),
        ("score", pa.float64()),
        ("partner", pa.string()),
        ("cluster", pa.string()),
    ]
)
CUTS = pa.schema(
    [("row", pa.int64()), ("start", pa.int64()), ("end", pa.int64()), ("reason", pa.string()), ("partner", pa.string())]
)


@dataclass(frozen=True)
class Loaded:
    """What is still training text of one piece: a table of documents, their rows in the piece, and their places."""

    table: pa.Table
    rows: I64
    places: U64


def steps_before(config: CorpusConfig, step: str) -> list[str]:
    """The steps that may have taken something of a canonical document before this one; ``kept`` comes after all."""
    on = {"near_dup": config.dedup.enabled, "substring": config.substring.enabled}
    return [s for s in STEPS[3 : [*STEPS, "kept"].index(step)] if on.get(s, True)]


def load(folder: StageFolder, config: CorpusConfig, n: int, before: str) -> Loaded:
    """The documents of piece n that no step before this one took, their texts after the cuts of the steps before."""
    table = folder.read_table(rows.piece(DOCS, n))
    alive = np.ones(len(table), bool)
    for step in steps_before(config, before):
        alive[fates(folder, config, step, n)["place"].to_numpy() & np.uint64(0xFFFFFFFF)] = False
    kept = np.flatnonzero(alive)
    table = table.filter(pa.array(alive))
    for step in steps_before(config, before):
        if folder.done(cut_piece(step, n)):
            table = _without(table, kept, folder.read_table(cut_piece(step, n)))
    return Loaded(table, kept, np.uint64(n << 32) | kept.astype(np.uint64))


def take(folder: StageFolder, places: U64) -> list[Row]:
    """Whole documents by place, as they were gathered, in the order given."""
    found: list[Row | None] = [None] * len(places)
    wanted: dict[int, list[int]] = defaultdict(list)
    for position, place in enumerate(places.tolist()):
        wanted[place >> 32].append(position)
    for n, positions in sorted(wanted.items()):
        at = np.array([int(places[p]) & 0xFFFFFFFF for p in positions], np.int64)
        for position, row in zip(positions, tables.rows(_rows(folder, n, at)), strict=True):
            found[position] = row
    return [row for row in found if row is not None]


def _rows(folder: StageFolder, n: int, at: I64) -> pa.Table:
    """Some rows of a piece, in the order given: only the row groups that hold them are read."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder.storage.path(folder.key(rows.piece(DOCS, n))))
    groups = np.unique(at // ROWS_A_GROUP)
    table = file.read_row_groups(groups.tolist())
    offset = np.searchsorted(groups, at // ROWS_A_GROUP) * ROWS_A_GROUP + at % ROWS_A_GROUP
    return table.take(pa.array(offset))


def write_fates(folder: StageFolder, config: CorpusConfig, step: str, number: int, leaving: pa.Table) -> None:
    """What task ``number`` of a step (0 .. P - 1) takes out of the training text; an empty table where nothing."""
    leaving = leaving.select(FATES.names).cast(FATES).sort_by("place").combine_chunks()
    piece = (leaving["place"].to_numpy() >> np.uint64(32)).astype(np.int64)
    assert step not in LOCAL or (piece == number).all(), f"{step} is a local step"
    ends = np.searchsorted(piece, np.arange(config.pieces), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    parts = [tables.pack(leaving.slice(a, b - a)) if b > a else b"" for a, b in zip(starts, ends, strict=True)]
    shuffle.write(folder, fate_piece(step, number), parts)


def fates(folder: StageFolder, config: CorpusConfig, step: str, n: int) -> pa.Table:
    """Which documents of piece n a step took, sorted by place. A place is there once."""
    numbers = [n] if step in LOCAL else list(range(config.pieces))
    parts = (shuffle.take(folder, fate_piece(step, number), n) for number in numbers)
    return tables.concat((tables.unpack(part) for part in parts if part), FATES).sort_by("place")


def write_cuts(folder: StageFolder, step: str, n: int, cuts: pa.Table) -> None:
    """The byte ranges that a step takes out of the texts of piece n, sorted and disjoint."""
    folder.write_table(cut_piece(step, n), cuts.select(CUTS.names).cast(CUTS))


def cuts(folder: StageFolder, config: CorpusConfig, n: int) -> Iterator[tuple[str, pa.Table]]:
    """Each step's cuts of piece n, in the order of the steps."""
    for step in STEPS[3:]:
        if folder.done(cut_piece(step, n)):
            yield step, folder.read_table(cut_piece(step, n))


def fate_piece(step: str, number: int) -> str:
    return f"work/fates/{step}/{number:05d}.bin"


def cut_piece(step: str, n: int) -> str:
    return rows.piece(f"work/cuts/{step}", n)


def without(text: str, ranges: list[tuple[int, int]]) -> str:
    """A text without some byte ranges of its UTF-8, which are sorted, disjoint and on character boundaries."""
    data = text.encode()
    edges = [0, *(edge for both in ranges for edge in both), len(data)]
    return b"".join(data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)).decode()


def _without(table: pa.Table, kept: I64, cut: pa.Table) -> pa.Table:
    ranges: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, start, end in zip(*(cut[name].to_pylist() for name in ("row", "start", "end")), strict=True):
        ranges[row].append((start, end))
    texts = table["text"].to_pylist()
    for position in np.flatnonzero(np.isin(kept, list(ranges))).tolist():
        texts[position] = without(texts[position], ranges[int(kept[position])])
    at = table.schema.get_field_index("text")
    return table.set_column(at, tables.DOCUMENTS.field("text"), pa.array(texts, pa.large_string()))


def byte_lengths(table: pa.Table) -> I64:
    """Bytes of UTF-8 of each document's text."""
    found: I64 = pc.binary_length(table["text"]).to_numpy().astype(np.int64)
    return found
