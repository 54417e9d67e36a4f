"""The held-out split: by document hash, so it does not move when documents are added.

A document is held out when its hash falls below ``share``. A source that would have fewer than ``fewest`` gives those
with the smallest hashes instead, but never more than a fifth of its documents; one of fewer than ``LEAST`` gives none.
It comes after the near-duplicates are gone: a copy in the training text would go as a leak of its held-out twin.
"""

import math
from collections import Counter, defaultdict
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
LEAST = 5  # documents of a source that gives any

Smallest = dict[str, tuple[int, list[tuple[float, str]]]]
"""Source -> how many documents it has, and those with the smallest hashes, sorted."""


def smallest(documents: Iterable[tuple[str, str]], fewest: int) -> Smallest:
    """Of (id, source), what ``chosen`` needs to know."""
    by_source: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for document, source in documents:
        by_source[source].append((rows.fraction(document, _SALT), document))
    return {source: (len(hashed), sorted(hashed)[:fewest]) for source, hashed in sorted(by_source.items())}


def sizes(parts: Sequence[Smallest]) -> Counter[str]:
    """How many documents each source has."""
    return Counter({source: sum(p[source][0] for p in parts if source in p) for source in sorted(set().union(*parts))})


def chosen(parts: Sequence[Smallest], fewest: int) -> dict[str, set[str]]:
    """Source that gives any -> the documents that are held out whatever the share, from what each piece said."""
    found: dict[str, set[str]] = {}
    for source, count in sizes(parts).items():
        if count >= LEAST:
            few = sorted(pair for part in parts if source in part for pair in part[source][1])
            found[source] = {document for _, document in few[: min(fewest, math.ceil(count / 5))]}
    return found


def is_held_out(document: str, source: str, share: float, anyway: dict[str, set[str]]) -> bool:
    return source in anyway and (document in anyway[source] or rows.fraction(document, _SALT) < share)


def survey(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """What piece n says of its documents' hashes."""
    table = documents.load(folder, config, n, "split").table
    pairs = zip(table["id"].to_pylist(), table["source"].to_pylist(), strict=True)
    folder.write_json(name, smallest(pairs, config.heldout_documents))
    return len(table)


def hold_out(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Write the held-out documents of piece n, last of all, and take them out of the training text."""
    anyway = {source: set(few) for source, few in folder.read_json(_CHOSEN).items()}
    loaded = documents.load(folder, config, n, "split")
    pairs = zip(loaded.table["id"].to_pylist(), loaded.table["source"].to_pylist(), strict=True)
    held = pa.array([is_held_out(*pair, config.heldout, anyway) for pair in pairs], pa.bool_())
    table = loaded.table.filter(held).combine_chunks()
    size = len(table)
    places = pa.array(loaded.places).filter(held)
    columns: list[Any] = [places, ["held_out"] * size, [0.0] * size, [""] * size, [""] * size]
    documents.write_fates(folder, config, "split", n, pa.table(columns, schema=documents.FATES))
    folder.write_table(name, table)
    return len(loaded.table)


def plan(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Hold out by hash, in two rounds: the smallest hashes of each source are known only when all were seen.

    A source that gives none of its documents, or all, is told.
    """
    surveys = [Task(f"work/split/{n:05d}.json", {"n": n}, 1) for n in range(config.pieces)]
    run("choosing held-out documents", survey, surveys, "pieces")
    parts: list[Smallest] = [ctx.folder.read_json(task.name) for task in surveys]
    tupled = [{s: (count, [(v, d) for v, d in few]) for s, (count, few) in part.items()} for part in parts]
    few = chosen(tupled, config.heldout_documents)
    ctx.folder.write_json(_CHOSEN, {source: sorted(found) for source, found in few.items()})
    tasks = [Task(rows.piece("heldout", n), {"n": n}, 1) for n in range(config.pieces)]
    run("holding out", hold_out, tasks, "pieces")
    held = Counter(source for task in tasks for source in ctx.folder.read_table(task.name)["source"].to_pylist())
    for source, count in sizes(tupled).items():
        if held[source] in (0, count):
            ctx.event("held_out_all" if held[source] else "held_out_none", source=source, documents=count)
