"""The pieces of work of the corpus stage: each reads pieces, makes one, and is a function of its arguments. No Ray.

Scratch of a group of units: ``work/rows/GROUP/PIECE`` (documents), ``work/drops/GROUP``, ``work/sizes/GROUP.json`` and,
last, ``work/keys/GROUP``: what the driver needs to know of each document, without its text.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import rows
from pipeline.corpus import clean, decontaminate, dedup, filters, minhash, shingles, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.extract import extract
from pipeline.corpus.locate import Unit
from pipeline.corpus.records import drop
from pipeline.rows import Drop, Row
from pipeline.stage import StageFolder

Place = tuple[str, int, int]  # where a document's text is: group, piece, row

HITS = pa.schema([("id", pa.string()), ("gram", pa.uint64()), ("heldout", pa.int64()), ("of", pa.int64())])
MATCHES = pa.schema([("dropped", pa.int64()), ("kept", pa.int64()), ("score", pa.float64())])
INDEX = "work/heldout_grams.bin"


def read(folder: StageFolder, config: CorpusConfig, name: str, units: list[dict[str, Any]]) -> int:
    """Read, clean, filter and sign a group of units; returns how many documents it found."""
    sources = {source.name: source for source in config.sources}
    sizes: dict[str, dict[str, list[int]]] = {}
    alive: list[Row] = []
    drops: list[Drop] = []
    for unit in (Unit(**plain) for plain in units):
        source = sources[unit.source]
        size = sizes.setdefault(source.name, {"read": [0, 0], "clean": [0, 0]})
        for raw in extract(source, unit, config.max_record_bytes):
            if "reason" in raw:
                drops.append(raw)
                continue
            _count(size["read"], raw["text"])
            row = clean.clean(raw, source)
            if not row["text"]:
                drops.append(drop(source.name, row["id"], "clean", "empty", 0.0, raw["text"]))
                continue
            _count(size["clean"], row["text"])
            broken = filters.judge(row, config.filters)
            if broken:
                drops.append(drop(source.name, row["id"], "filter", *broken, row["text"]))
            else:
                alive.append(row)
    _write_rows(folder, config, name, alive)
    folder.write_table(f"work/drops/{name}.parquet", tables.by_id(tables.dropped(drops)))
    folder.write_json(f"work/sizes/{name}.json", sizes)
    folder.write_table(f"work/keys/{name}.parquet", _keys(config, name, alive))
    return len(alive) + len(drops)


def _count(size: list[int], text: str) -> None:
    size[0] += 1
    size[1] += len(text.encode(errors="surrogatepass"))


def _write_rows(folder: StageFolder, config: CorpusConfig, name: str, alive: list[Row]) -> None:
    """One table a piece, so that the writer of a piece reads no other documents."""
    parts: dict[int, list[Row]] = defaultdict(list)
    for row in alive:
        parts[rows.piece_of(row["id"], config.pieces)].append(row)
    for number, part in sorted(parts.items()):
        folder.write_table(rows.piece(f"work/rows/{name}", number), tables.documents(part))


def _keys(config: CorpusConfig, name: str, alive: list[Row]) -> pa.Table:
    """What the driver needs of each document: id, size, a hash of its text, where it is, and its LSH bands."""
    dup = config.dedup
    signature = minhash.signatures(
        shingles.grams([row["text"] for row in alive], dup.words, whole=True), dup.bands * dup.rows
    )
    bands = minhash.band_keys(signature, dup.bands, dup.rows)
    seen: dict[int, int] = defaultdict(int)
    columns: dict[str, list[Any]] = {n: [] for n in ("id", "source", "bytes", "content", "order", "piece", "row")}
    for row in alive:
        text = row["text"].encode()
        number = rows.piece_of(row["id"], config.pieces)
        values = (row["id"], row["source"], len(text), _hash(text), _hash(row["meta"].encode()), number, seen[number])
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
        seen[number] += 1
    kinds = (pa.string(), pa.string(), pa.int64(), pa.string(), pa.string(), pa.int64(), pa.int64())
    made = {n: pa.array(column, kind) for (n, column), kind in zip(columns.items(), kinds, strict=True)}
    made["group"] = pa.array([name] * len(alive), pa.string())
    return pa.table(made | {f"band_{k:02d}": pa.array(bands[:, k]) for k in range(dup.bands)})


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def load(folder: StageFolder, places: Sequence[Place]) -> list[Row]:
    """The documents at (group, piece, row), in the order given."""
    wanted: dict[tuple[str, int], list[int]] = defaultdict(list)
    for position, (group, number, _) in enumerate(places):
        wanted[group, number].append(position)
    found: list[Row | None] = [None] * len(places)
    for (group, number), positions in wanted.items():
        table = folder.read_table(rows.piece(f"work/rows/{group}", number))
        taken = table.take(pa.array([places[position][2] for position in positions], pa.int64()))
        for position, row in zip(positions, tables.rows(taken), strict=True):
            found[position] = row
    return [row for row in found if row is not None]


def compare(folder: StageFolder, config: CorpusConfig, name: str, clusters: list[dict[str, Any]]) -> int:
    """Decide clusters of proposed near-duplicates on their texts; returns how many documents it read."""
    made: list[dict[str, Any]] = []
    documents = 0
    for cluster in clusters:
        members, pairs = cluster["members"], [tuple(pair) for pair in cluster["pairs"]]
        texts = [row["text"] for row in load(folder, cluster["places"])]
        documents += len(texts)
        for match in dedup.decide(texts, pairs, config.dedup.words, config.dedup.threshold):
            made.append({"dropped": members[match.dropped], "kept": members[match.kept], "score": match.score})
    folder.write_table(name, pa.Table.from_pylist(made, schema=MATCHES))
    return documents


def hold_out(folder: StageFolder, config: CorpusConfig, name: str, places: list[Place]) -> int:
    """Write one held-out piece; returns its documents."""
    folder.write_table(name, tables.by_id(tables.documents(load(folder, places))))
    return len(places)


def search(folder: StageFolder, config: CorpusConfig, name: str, places: list[Place]) -> int:
    """Find held-out n-grams in the training documents of one piece; returns how many were searched."""
    found = load(folder, places)
    index = decontaminate.Index.from_bytes(folder.read_bytes(INDEX))
    hits = decontaminate.find([row["text"] for row in found], index, config.decontaminate.words)
    ids = np.array([row["id"] for row in found], dtype=object)
    columns = [
        pa.array(ids[hits.document], pa.string()),
        pa.array(hits.gram),
        pa.array(hits.heldout),
        pa.array(hits.of),
    ]
    folder.write_table(name, pa.table(columns, schema=HITS))
    return len(found)


Left = tuple[Place, tuple[str, str, float, str]]  # a place, and step, reason, score, partner


def write(
    folder: StageFolder,
    config: CorpusConfig,
    name: str,
    piece: int,
    kept: list[Place],
    left: list[Left],
    early: list[str],
) -> int:
    """Write one piece of kept and one of dropped documents; returns how many both hold.

    ``early`` are the groups, whose scratch holds what the first steps dropped.
    """
    folder.write_table(rows.piece("kept", piece), tables.by_id(tables.documents(load(folder, kept))))
    drops = []
    for row, (_, fate) in zip(load(folder, [place for place, _ in left]), left, strict=True):
        step, reason, score, partner = fate
        drops.append(drop(row["source"], row["id"], step, reason, score, row["text"], partner))
    before = [_of_piece(folder.read_table(f"work/drops/{group}.parquet"), piece, config.pieces) for group in early]
    table = tables.by_id(tables.concat([*before, tables.dropped(drops)], tables.DROPPED))
    folder.write_table(rows.piece("dropped", piece), table)
    folder.write_json(name, {"kept": len(kept), "dropped": table.num_rows})
    return len(kept) + len(table)


def _of_piece(drops: pa.Table, piece: int, pieces: int) -> pa.Table:
    return drops.filter(pa.array([rows.piece_of(i, pieces) == piece for i in drops["id"].to_pylist()], pa.bool_()))


def scratch(phase: str, arguments: object) -> str:
    """The name of a phase's scratch piece, which changes with the arguments of the work."""
    text = json.dumps(arguments, sort_keys=True)
    return f"work/{phase}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
