"""The held-out split: by document hash, so it does not move when documents are added.

A document is held out when its hash falls below ``share``. A source that would have fewer than ``fewest`` gives those
with the smallest hashes instead, but never more than a fifth of its documents.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.work import Runner
from pipeline.stage import StageContext, StageFolder

_SALT = "heldout"
_CHOSEN = "work/split/chosen.json"

Smallest = dict[str, tuple[int, list[tuple[float, str]]]]
"""Source -> how many documents it has, and those with the smallest hashes, sorted."""


def smallest(documents: Iterable[tuple[str, str]], fewest: int) -> Smallest:
    """Of (id, source), what ``chosen`` needs to know."""
    by_source: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for document, source in documents:
        by_source[source].append((rows.fraction(document, _SALT), document))
    return {source: (len(hashed), sorted(hashed)[:fewest]) for source, hashed in sorted(by_source.items())}


def chosen(parts: Sequence[Smallest], fewest: int) -> set[str]:
    """The documents that are held out whatever the share, from what each piece said."""
    found: set[str] = set()
    for source in sorted({source for part in parts for source in part}):
        own = [part[source] for part in parts if source in part]
        least = min(fewest, math.ceil(sum(count for count, _ in own) / 5))
        found |= {document for _, document in sorted(pair for _, few in own for pair in few)[:least]}
    return found


def is_held_out(document: str, share: float, anyway: set[str]) -> bool:
    return document in anyway or rows.fraction(document, _SALT) < share


def survey(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """What piece n says of its documents' hashes."""
    table = documents.load(folder, config, n, "split").table
    pairs = zip(table["id"].to_pylist(), table["source"].to_pylist(), strict=True)
    folder.write_json(name, smallest(pairs, config.heldout_documents))
    return len(table)


def hold_out(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Write the held-out documents of piece n, last of all, and take them out of the training text."""
    anyway = set(folder.read_json(_CHOSEN))
    loaded = documents.load(folder, config, n, "split")
    held = pa.array([is_held_out(i, config.heldout, anyway) for i in loaded.table["id"].to_pylist()], pa.bool_())
    table = loaded.table.filter(held).combine_chunks()
    size = len(table)
    places = pa.array(loaded.places).filter(held)
    columns: list[Any] = [places, ["held_out"] * size, [0.0] * size, [""] * size, [""] * size]
    documents.write_fates(folder, config, "split", n, pa.table(columns, schema=documents.FATES))
    folder.write_table(name, table)
    return len(loaded.table)


def plan(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Hold out by hash, in two rounds: the smallest hashes of each source are known only when all were seen."""
    surveys = [Task(f"work/split/{n:05d}.json", {"n": n}, 1) for n in range(config.pieces)]
    run("choosing held-out documents", survey, surveys, "pieces")
    parts: list[Smallest] = [ctx.folder.read_json(task.name) for task in surveys]
    tupled = [{s: (count, [(v, d) for v, d in few]) for s, (count, few) in part.items()} for part in parts]
    ctx.folder.write_json(_CHOSEN, sorted(chosen(tupled, config.heldout_documents)))
    tasks = [Task(rows.piece("heldout", n), {"n": n}, 1) for n in range(config.pieces)]
    run("holding out", hold_out, tasks, "pieces")
