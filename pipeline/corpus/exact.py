"""Exact duplicates: documents with one text, or one record read twice. Knows hashes of texts, not what they say.

Each canonical piece sends (hash of the text, who it is) to the partition of the hash, whose task decides who stays.
The scope is a setting: in the whole corpus, or within each source.
"""

import hashlib

import numpy as np
import pyarrow as pa

from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents, shuffle, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.records import drop
from pipeline.corpus.work import Runner
from pipeline.rows import Drop, Row
from pipeline.stage import StageContext, StageFolder

KEY = np.dtype(
    [("high", "<u8"), ("low", "<u8"), ("place", "<u8"), ("priority", "<i4"), ("quality", "<f4"), ("id", "S32")]
)
_KEYS = "work/exact/keys"


def same_record(row: Row) -> Drop:
    """A record that was there before: its partner has its id, and its text."""
    return drop(row["source"], row["id"], "exact_dup", "same_record", 1.0, "", row["id"])


def one_each(table: pa.Table) -> tuple[pa.Table, list[Drop]]:
    """The documents of a piece sorted by id, each id once, and a drop for each further record of an id."""
    table = table.sort_by([("id", "ascending"), ("meta", "ascending")]).combine_chunks()
    ids = np.array(table["id"].to_pylist(), object)
    fresh = np.concatenate([[True], ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, bool)
    again = table.filter(pa.array(~fresh))
    return table.filter(pa.array(fresh)).combine_chunks(), [same_record(row) for row in tables.rows(again)]


def write_keys(folder: StageFolder, config: CorpusConfig, n: int, table: pa.Table) -> None:
    """The keys of one canonical piece, in parts by the hash of the text."""
    priority = {source.name: source.priority for source in config.sources}
    keys = np.zeros(len(table), KEY)
    for i, row in enumerate(tables.rows(table)):
        scope = row["source"] if config.dedup.exact == "source" else ""
        found = hashlib.blake2b(f"{scope}\0{row['text']}".encode(), digest_size=16).digest()
        high, low = int.from_bytes(found[:8]), int.from_bytes(found[8:])
        keys[i] = (high, low, n << 32 | i, priority[row["source"]], rows.quality_of(row["meta"]), row["id"])
    part = shuffle.part_of(keys["high"], config.pieces)
    shuffle.write(folder, f"{_KEYS}/{n:05d}.bin", shuffle.scatter(keys, part, config.pieces))


def decide(folder: StageFolder, config: CorpusConfig, name: str, part: int) -> int:
    """Of the documents with one text, the survivor rule says who stays; returns how many texts were compared."""
    keys = shuffle.gather(folder, list(shuffle.names(_KEYS, config.pieces)), part, KEY)
    columns = {"priority": -keys["priority"], "quality": -keys["quality"], "id": keys["place"]}
    rule = [columns[name] for name in config.dedup.survivor if name in columns]  # their lengths are equal
    order = np.lexsort([keys["place"], *reversed(rule), keys["low"], keys["high"]])
    keys = keys[order]
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (keys["high"][1:] != keys["high"][:-1]) | (keys["low"][1:] != keys["low"][:-1])
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))[~fresh]
    partner = [found.decode() for found in keys["id"][first].tolist()]
    size = len(partner)
    columns_of = (keys["place"][~fresh], ["same_text"] * size, np.ones(size), partner, [""] * size)
    documents.write_fates(folder, config, "exact_dup", part, pa.table(list(columns_of), schema=documents.FATES))
    folder.write_json(name, {"texts": len(keys)})
    return len(keys)


def plan(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Decide all partitions of the texts' hashes."""
    tasks = [Task(f"work/exact/{part:05d}.json", {"part": part}, 1) for part in range(config.pieces)]
    run("exact duplicates", decide, tasks, "parts")
