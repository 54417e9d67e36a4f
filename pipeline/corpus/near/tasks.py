"""The tasks of the search for near-duplicates. Each reads pieces, writes one for its readers, then what it counted.

sign(n) -> bucket(p) -> contract(round, task) ... -> members(n) -> judge(p). Keys and places travel; a text moves once,
and only if its document is in a cluster. ``moved`` are the bytes that a task wrote for others, texts apart.
"""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import rows
from pipeline.corpus import documents, shuffle, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.near import buckets, components, earlier, keys, verify
from pipeline.corpus.near.components import RECORD, Shape
from pipeline.corpus.shingles import U64, mix
from pipeline.stage import StageFolder

WORK = "work/near"

MEMBERS = pa.schema(
    [
        ("cluster", pa.uint64()),
        ("place", pa.uint64()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("priority", pa.int64()),
        ("quality", pa.float64()),
        ("length", pa.int64()),
        ("text", pa.large_string()),
    ]
)


def sign(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Send the band keys of piece n to their partitions, one record a key, and the edges within the piece home."""
    loaded = documents.load(folder, config, n, "near_dup")
    key, has = keys.all_keys(loaded.table, config.dedup)
    parts = buckets.spread(*buckets.ranked(key, loaded.rows[has], 1), config.pieces)
    shuffle.write(folder, _piece("bands", n), parts)
    within = _send_home(folder, config, _piece("edges/within", n), *buckets.edges(key, loaded.places[has]))
    within["moved"] += sum(map(len, parts))
    size = _by_source(loaded.table["source"], documents.byte_lengths(loaded.table))
    folder.write_json(name, {**within, "documents": len(loaded.rows), "bytes": size})
    return len(loaded.rows)


def bucket(folder: StageFolder, config: CorpusConfig, name: str, part: int, old: list[int]) -> int:
    """Edges between the documents of one partition of the keys; ``old`` is how many pieces each earlier run has."""
    pieces = [(_piece("bands", n), n << 32) for n in range(config.pieces)]
    pieces += [(earlier.sent(run, n), earlier.place(run, n)) for run, count in enumerate(old) for n in range(count)]
    found = [buckets.unpack(shuffle.take(folder, piece, part), base) for piece, base in pieces]
    key, place = (np.concatenate(column) for column in zip(*found, strict=True))
    across = _send_home(folder, config, _piece("edges/across", part), *buckets.edges(key, place))
    folder.write_json(name, across)
    return len(key)


def _send_home(folder: StageFolder, config: CorpusConfig, piece: str, root: U64, child: U64) -> dict[str, int]:
    root, child = components.stars(root, child)
    parts = components.send(root, child, np.zeros(0, RECORD), Shape(config.pieces, config.pieces))
    shuffle.write(folder, piece, parts)
    return {"edges": len(root), "moved": sum(map(len, parts))}


def contract(folder: StageFolder, config: CorpusConfig, name: str, round: int, task: int, tasks: int) -> int:
    """One task of a round (1 is the first) of the search for components."""
    shape = Shape(config.pieces, tasks)
    pieces = _edges(config, round, tasks)
    read = np.concatenate([shuffle.gather(folder, pieces, part, RECORD) for part in shape.of_task(task)])
    parts, unsettled = components.advance(read, shape, task)
    shuffle.write(folder, _piece(f"rounds/{round:04d}", task), parts)
    folder.write_json(name, {"unsettled": unsettled, "moved": sum(map(len, parts))})
    return len(read)


def _edges(config: CorpusConfig, round: int, tasks: int) -> list[str]:
    """The pieces that a round reads: those of the round before."""
    if round > 1:
        return [_piece(f"rounds/{round - 1:04d}", task) for task in range(tasks)]
    return [_piece(f"edges/{kind}", n) for kind in ("within", "across") for n in range(config.pieces)]


def members(folder: StageFolder, config: CorpusConfig, name: str, n: int, rounds: int, tasks: int) -> int:
    """Send the documents of piece n that are in a cluster, with their texts, to the task that judges the cluster."""
    sent = shuffle.gather(folder, _edges(config, rounds + 1, tasks), n, RECORD)
    place, cluster = components.labels(sent, Shape(config.pieces, tasks), n)
    new = place < buckets.OLD
    loaded = documents.load(folder, config, n, "near_dup")
    chosen = loaded.table.take(pa.array(np.searchsorted(loaded.places, place[new])))
    table = pa.concat_tables([chosen, *earlier.texts(config.dedup, place[~new])])
    made = _members(config, table, place, cluster)
    part = shuffle.part_of(mix(cluster), config.pieces)
    made = made.take(pa.array(np.argsort(part, kind="stable"))).combine_chunks()
    ends = np.cumsum(np.bincount(part, minlength=config.pieces)).tolist()
    parts = [tables.pack(made.slice(a, b - a)) if b > a else b"" for a, b in pairwise([0, *ends])]
    shuffle.write(folder, _piece("members", n), parts)
    folder.write_json(name, {"text_bytes_moved": int(made["length"].to_numpy().sum())})
    return len(made)


def _members(config: CorpusConfig, table: pa.Table, place: U64, cluster: U64) -> pa.Table:
    priority = {source.name: source.priority for source in config.sources}
    columns: list[Any] = [
        cluster,
        place,
        table["id"],
        table["source"],
        [priority.get(source, 0) for source in table["source"].to_pylist()],
        [rows.quality_of(meta or "") for meta in table["meta"].to_pylist()],
        documents.byte_lengths(table),
        table["text"],
    ]
    return pa.table(columns, names=MEMBERS.names).cast(MEMBERS)


def judge(folder: StageFolder, config: CorpusConfig, name: str, part: int) -> int:
    """Decide the clusters of one part on their texts, and write the fates; returns how many documents they have."""
    sets = verify.Sets()
    found, key = [], [np.zeros((0, config.dedup.bands), np.uint64)]
    for n in range(config.pieces):
        data = shuffle.take(folder, _piece("members", n), part)
        if data:
            table = tables.unpack(data)
            for grams, some in keys.signed(table, config.dedup):
                sets.add(grams)
                key.append(some)
            found.append(table.drop_columns("text"))
    table = tables.concat(found, MEMBERS.remove(MEMBERS.get_field_index("text")))
    old = table["place"].to_numpy() >= buckets.OLD
    order = verify.preference(table, config.dedup)
    removals, compared = verify.decide(order, old, np.concatenate(key), sets, config.dedup)
    sets.close()
    documents.write_fates(folder, config, "near_dup", part, verify.fates(table, removals))
    gone = table.take(pa.array([removal.gone for removal in removals], pa.int64()))
    folder.write_json(
        name,
        {
            "clusters": len(np.unique(table["cluster"].to_numpy())),
            "members": len(table),
            "largest": int(max(np.unique(table["cluster"].to_numpy(), return_counts=True)[1], default=0)),
            "compared": compared,
            "removed": dict(sorted(Counter(removal.reason for removal in removals).items())),
            "lost": _by_source(gone["source"], gone["length"].to_numpy()),
        },
    )
    return len(table)


def _by_source(sources: pa.ChunkedArray, size: Any) -> dict[str, int]:
    found: Counter[str] = Counter()
    for source, bytes_of in zip(sources.to_pylist(), size.tolist(), strict=True):
        found[source] += bytes_of
    return dict(sorted(found.items()))


def _piece(prefix: str, n: int) -> str:
    return f"{WORK}/{prefix}/{n:05d}.bin"
