"""The first steps: groups of input to documents that passed the rules, then to the canonical pieces. Knows no Ray.

``read`` takes a group of units through extract, clean and the families of rules, and writes parts by document id;
``gather`` makes the canonical piece n from part n of all groups. How the input was grouped does not show in a piece.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline import rows
from pipeline.corpus import documents, exact, families, shuffle, tables
from pipeline.corpus.cleaning import clean
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.extract import extract
from pipeline.corpus.locate import Unit
from pipeline.corpus.records import drop
from pipeline.rows import Cut, Drop, Row
from pipeline.stage import StageFolder

HELD_BYTES = 32_000_000  # text that a reading task holds before it writes

Sizes = dict[str, dict[str, list[int]]]
"""Source -> step -> documents that it let pass, bytes of their text."""


class Found:
    """What a reading task has found: documents, drops and cuts, written whenever they hold enough text."""

    def __init__(self, folder: StageFolder, pieces: int, name: str) -> None:
        self._folder, self._pieces, self._name = folder, pieces, name
        self._held: tuple[list[Row], list[Drop], list[Cut]] = ([], [], [])
        self._bytes = 0
        self._seen: set[tuple[str, str]] = set()
        self.written = 0
        self.documents = 0

    def keep(self, row: Row, cuts: Sequence[Cut]) -> None:
        """A document that passed; the same record once more is a duplicate, and its text is not held again."""
        if (row["id"], row["meta"]) in self._seen:
            self.leave(exact.same_record(row))
            return
        self._seen.add((row["id"], row["meta"]))
        self._held[0].append(row)
        self._held[2].extend(cuts)
        self._grow(len(row["text"]))

    def leave(self, gone: Drop) -> None:
        self._held[1].append(gone)
        self._grow(len(gone["text"]))

    def _grow(self, characters: int) -> None:
        self.documents += 1
        self._bytes += characters + 100
        if self._bytes >= HELD_BYTES:
            self.write()

    def write(self) -> None:
        """Write what is held: part k * pieces + n holds the documents, drops or cuts (k) of piece n."""
        held: tuple[list[Any], ...] = self._held
        makers: tuple[Callable[[Any], pa.Table], ...] = (tables.documents, tables.dropped, tables.cut)
        parts = []
        for some, table in zip(held, makers, strict=True):
            by_piece: list[list[Any]] = [[] for _ in range(self._pieces)]
            for row in some:
                by_piece[rows.piece_of(row["id"], self._pieces)].append(row)
            parts += [tables.pack(table(own)) if own else b"" for own in by_piece]
            some.clear()
        shuffle.write(self._folder, _part_piece(self._name, self.written), parts)
        self.written += 1
        self._bytes = 0


def read(folder: StageFolder, config: CorpusConfig, name: str, group: str, units: list[dict[str, Any]]) -> int:
    """Read, clean and judge a group of units; returns how many documents it found."""
    sources = {source.name: source for source in config.sources}
    judges = {
        source: families.load(config, sources[source], folder.read_bytes) for source in {u["source"] for u in units}
    }
    found = Found(folder, config.pieces, group)
    sizes: Sizes = {}
    bad: dict[str, dict[str, list[int]]] = {}  # source -> reason -> drops, records that they stand for
    over: dict[str, Counter[str]] = {}
    where: list[dict[str, str]] = []
    for unit in (Unit(**plain) for plain in units):
        source = sources[unit.source]
        passed = sizes.setdefault(source.name, {step: [0, 0] for step in ("read", "clean", "filter")})
        for raw in extract(source, unit, config.max_record_bytes, over.setdefault(source.name, Counter())):
            if "reason" in raw:
                place = raw.get("where", "").encode(errors="replace").decode()  # a name may hold what UTF-8 cannot
                where.append({"id": raw["id"], "source": raw["source"], "reason": raw["reason"], "where": place})
                count = bad.setdefault(source.name, {}).setdefault(raw["reason"], [0, 0])
                count[:] = count[0] + 1, count[1] + raw.get("records", 1)
                found.leave(raw)
                continue
            _count(passed["read"], raw["text"])
            row, cuts = clean.clean(raw, source, config.cleaning)
            if not row["text"]:
                found.leave(drop(source.name, row["id"], "clean", "empty", 0.0, raw["text"]))
                continue
            _count(passed["clean"], row["text"])
            judged, verdict = families.judge(row, source, judges[source.name])
            if verdict.broken or judged is None:
                reason, score = verdict.broken or ("nothing_left", 0.0)
                found.leave(drop(source.name, row["id"], "filter", reason, score, row["text"]))
                continue
            _count(passed["filter"], judged["text"])
            found.keep(judged, [*cuts, *verdict.cuts])
    found.write()
    if where:
        folder.write_jsonl(f"timing/where/{group}.jsonl", where)
    folder.write_json(name, {"parts": found.written, "sizes": sizes, "bad": bad, "over": over})
    return found.documents


def _count(size: list[int], text: str) -> None:
    size[0] += 1
    size[1] += len(text.encode(errors="surrogatepass"))


def _part_piece(group: str, number: int) -> str:
    return f"work/read/{group}/{number:05d}.bin"


def gather(folder: StageFolder, config: CorpusConfig, name: str, n: int, groups: list[str]) -> int:
    """Write the canonical piece n, its early drops and cuts, and the keys of its texts; returns its documents."""
    files = [
        _part_piece(group, number)
        for group in groups
        for number in range(folder.read_json(f"work/read/{group}.json")["parts"])
    ]

    def part(kind: int) -> Iterator[pa.Table]:
        for file in files:
            if data := shuffle.take(folder, file, kind * config.pieces + n):
                yield tables.unpack(data)

    table, again = exact.one_each(tables.concat(part(0), tables.DOCUMENTS))
    drops = tables.concat([*part(1), tables.dropped(again)], tables.DROPPED)
    folder.write_table(rows.piece("work/drops", n), tables.by_id(drops))
    folder.write_table(rows.piece("work/early_cuts", n), _once(tables.by_id(tables.concat(part(2), tables.CUTS))))
    folder.write_table(rows.piece(documents.DOCS, n), table, documents.ROWS_A_GROUP)
    exact.write_keys(folder, config, n, table)
    folder.write_json(name, {"documents": len(table)})
    return len(table) + len(drops)


def _once(cuts: pa.Table) -> pa.Table:
    """Sorted cuts without repeats: a record that two groups read was cut twice, and one of them is gone."""
    keys = list(zip(*(cuts[column].to_pylist() for column in ("id", "step", "reason")), strict=True))
    return cuts.filter(pa.array([i == 0 or keys[i] != keys[i - 1] for i in range(len(keys))], pa.bool_()))
