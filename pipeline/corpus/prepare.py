"""The corpus stage from first to last, step by step. It plans the work and keeps the ledger; somebody else runs it.

Order: read, clean, filter (together, by groups of files) -> exact duplicates -> held-out split -> near-duplicates among
the training text -> training text that holds held-out text -> evaluation items from held-out text -> pieces, funnel.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.data import Task
from cluster.errors import UserError
from pipeline import rows
from pipeline.corpus import decontaminate, dedup, items, locate, minhash, shingles, split, tables, work
from pipeline.corpus.ledger import Ledger, Size, funnel
from pipeline.corpus.shingles import U64
from pipeline.rows import Row
from pipeline.stage import StageContext

DOCUMENTS_A_TASK = 2_000

Runner = Callable[[str, str, list[Task], str], None]
"""(label, function of ``work``, tasks, unit of their weights) -> when it returns, the piece of each task stands."""


def prepare(ctx: StageContext, run: Runner) -> None:
    """Make the corpus. Raises SourceError for sources that cannot be read, UserError where no text is left."""
    groups = _read(ctx, run)
    ledger = Ledger.of(pa.concat_tables(ctx.folder.read_table(f"work/keys/{name}.parquet") for name in groups))
    _exact(ledger)
    config = ctx.config.corpus
    training = ledger.training()
    held = split.held_out(
        ((ledger.ids[i], ledger.sources[i]) for i in training), config.heldout, config.heldout_documents
    )
    for i in training:
        if ledger.ids[i] in held:
            ledger.leave(i, "split", "held_out")
    heldout = _hold_out(ctx, run, ledger)
    if config.dedup.enabled:
        _near(ctx, run, ledger)
    still = _decontaminate(ctx, run, ledger)
    _items(ctx, heldout, still)
    if not ledger.training():
        rule = f"no document is left: {len(ledger)} passed the filters"
        raise UserError("corpus.sources", [s.name for s in config.sources], rule, "Add text, or loosen corpus.filters")
    _write(ctx, run, ledger, groups)
    _account(ctx, ledger, groups)


def _read(ctx: StageContext, run: Runner) -> list[str]:
    config = ctx.config.corpus
    made = locate.groups(locate.units(config.sources, config.group_bytes), config.group_bytes)
    tasks, names = [], []
    for group in made:
        name = locate.name_of(group)
        size = sum(unit.end - unit.start for unit in group) / 1e6
        arguments = {"name": name, "units": [unit.plain() for unit in group]}
        tasks.append(Task(f"work/keys/{name}.parquet", arguments, size))
        names.append(name)
    run("reading", "read", sorted(tasks, key=lambda task: -task.weight), "MB")  # the largest first
    return names


def _exact(ledger: Ledger) -> None:
    found = dedup.exact(ledger.ids, [content.encode() for content in ledger.contents])
    for dropped, kept in sorted(found.items()):
        ledger.leave(dropped, "exact_dup", "same_text", 1.0, ledger.ids[kept])


def _hold_out(ctx: StageContext, run: Runner, ledger: Ledger) -> list[Row]:
    """The held-out pieces, and the index of their n-grams, among which are those of every evaluation item."""
    config = ctx.config.corpus
    tasks = []
    for number in range(config.pieces):
        places = list(ledger.places(i for i in ledger.held_out() if ledger.piece[i] == number))
        name = rows.piece("heldout", number)
        tasks.append(Task(name, {"name": name, "places": places}, len(places)))
    run("holding out", "hold_out", tasks, "documents")
    held = tables.rows(tables.concat((ctx.folder.read_table(task.name) for task in tasks), tables.DOCUMENTS))
    ctx.folder.write_bytes(
        work.INDEX, decontaminate.index([row["text"] for row in held], config.decontaminate.words).to_bytes()
    )
    return held


def _near(ctx: StageContext, run: Runner, ledger: Ledger) -> None:
    """Near-duplicates among the training text; LSH proposes on the driver, tasks decide on the text."""
    order = sorted(ledger.training(), key=lambda i: (-ledger.sizes[i], ledger.ids[i]))  # the order of survival
    pairs = dedup.candidates(ledger.bands[order], ctx.config.corpus.dedup.bucket_pairs)
    found = []
    partners: dict[int, list[int]] = {}
    for a, b in pairs.tolist():
        partners.setdefault(b, []).append(a)
    for members in dedup.clusters(pairs, len(order)):
        at = {member: i for i, member in enumerate(members)}
        own = [[at[a], at[b]] for b in members for a in partners.get(b, [])]
        positions = [order[member] for member in members]
        found.append({"members": positions, "places": list(ledger.places(positions)), "pairs": own})
    tasks = []
    for batch in _batches(found):
        name = work.scratch("matches", batch) + ".parquet"
        tasks.append(Task(name, {"name": name, "clusters": batch}, sum(len(cluster["members"]) for cluster in batch)))
    run("comparing near-duplicates", "compare", tasks, "documents")
    matches = tables.concat((ctx.folder.read_table(task.name) for task in tasks), work.MATCHES).to_pylist()
    for match in sorted(matches, key=lambda match: int(match["dropped"])):
        ledger.leave(match["dropped"], "near_dup", "similar_text", match["score"], ledger.ids[match["kept"]])
    counts = {"proposed_pairs": len(pairs), "clusters": len(found), "dropped": len(matches)}
    ctx.count(near_dup={**counts, "scheme": f"{minhash.SCHEME} over {shingles.SCHEME}, seed {minhash.SEED}"})


def _batches(clusters: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Clusters of about so many documents together."""
    ends = np.cumsum([len(cluster["members"]) for cluster in clusters])
    cuts = np.unique(np.searchsorted(ends, np.arange(0, int(ends[-1]) if len(ends) else 0, DOCUMENTS_A_TASK)))
    for first, last in pairwise([*cuts.tolist(), len(clusters)]):
        yield list(clusters[first:last])


def _decontaminate(ctx: StageContext, run: Runner, ledger: Ledger) -> U64:
    """Drop leaks; the held-out n-grams that the training text still has."""
    config = ctx.config.corpus
    training = ledger.training()
    tasks = []
    for number in range(config.pieces):
        places = list(ledger.places(i for i in training if ledger.piece[i] == number))
        name = work.scratch("hits", [places, config.decontaminate.words]) + ".parquet"
        tasks.append(Task(name, {"name": name, "places": places}, len(places)))
    run("decontaminating", "search", tasks, "documents")
    found = tables.concat((ctx.folder.read_table(task.name) for task in tasks), work.HITS)
    position = {ledger.ids[i]: i for i in training}
    document = np.array([position[i] for i in found["id"].to_pylist()], np.int64)
    hits = decontaminate.Hits(document, *(found[name].to_numpy() for name in ("gram", "heldout", "of")))
    held = [ledger.ids[i] for i in ledger.held_out()]  # sorted by id, as the held-out pieces are
    before = _bytes(ledger)
    for leak in decontaminate.judge(hits, config.decontaminate):
        ledger.leave(leak.document, "decontaminate", "holds_heldout_text", float(leak.hits), held[leak.heldout])
    after = _bytes(ledger)
    lost = {source: round(1 - after[source] / size, 4) for source, size in sorted(before.items())}
    for source, share in lost.items():
        if share > config.decontaminate.max_loss:
            ctx.event("source_lost", step="decontaminate", source=source, share=share)
    ctx.count(decontamination_loss=lost, decontamination_scheme=shingles.SCHEME)
    return hits.gram[[i not in ledger.fates for i in hits.document.tolist()]]


def _items(ctx: StageContext, heldout: list[Row], still: U64) -> None:
    config = ctx.config.corpus
    known = decontaminate.knows(still, config.decontaminate.words, config.decontaminate.min_hits)
    made = items.make(heldout, config.items, known)
    for kind, found in made.items():
        ctx.folder.write_jsonl(f"items/{kind}.jsonl", found)
    ctx.count(items={kind: len(found) for kind, found in made.items()})


def _bytes(ledger: Ledger) -> Counter[str]:
    size: Counter[str] = Counter()
    for i in ledger.training():
        size[ledger.sources[i]] += ledger.sizes[i]
    return size


def _write(ctx: StageContext, run: Runner, ledger: Ledger, groups: list[str]) -> None:
    config = ctx.config.corpus
    training = ledger.training()
    left = {i: fate for i, fate in sorted(ledger.fates.items()) if fate.step != "split"}
    tasks = []
    for number in range(config.pieces):
        kept = list(ledger.places(i for i in training if ledger.piece[i] == number))
        gone = [i for i in left if ledger.piece[i] == number]
        why = [(f.step, f.reason, f.score, f.partner) for f in map(left.__getitem__, gone)]
        arguments = {
            "piece": number,
            "kept": kept,
            "left": list(zip(ledger.places(gone), why, strict=True)),
            "early": groups,
        }
        name = work.scratch("written", arguments) + ".json"
        tasks.append(Task(name, arguments | {"name": name}, len(kept) + len(gone)))
    run("writing", "write", tasks, "documents")


def _account(ctx: StageContext, ledger: Ledger, groups: list[str]) -> None:
    """The funnel, and the counts of the manifest."""
    early: dict[str, dict[str, Size]] = {s.name: {"read": (0, 0), "clean": (0, 0)} for s in ctx.config.corpus.sources}
    reasons: Counter[tuple[str, str, str]] = Counter()
    for name in groups:
        for source, sizes in ctx.folder.read_json(f"work/sizes/{name}.json").items():
            for step, (documents, size) in sizes.items():
                before = early[source][step]
                early[source][step] = (before[0] + documents, before[1] + size)
        drops = ctx.folder.read_table(f"work/drops/{name}.parquet")
        reasons.update(zip(*(drops[column].to_pylist() for column in ("source", "step", "reason")), strict=True))
    made = funnel(early, dict(reasons), ledger)
    ctx.folder.write_json("funnel.json", made)
    size = _bytes(ledger)
    ctx.count(
        kept={"documents": len(ledger.training()), "bytes": size.total()},
        heldout={"documents": len(ledger.held_out()), "bytes": sum(ledger.sizes[i] for i in ledger.held_out())},
        dropped=reasons.total() + sum(fate.step != "split" for fate in ledger.fates.values()),
    )
