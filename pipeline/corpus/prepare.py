"""The corpus stage from first to last, step by step. It plans the work; somebody else runs it.

read, clean, filter (together, by groups of input) -> canonical pieces -> exact duplicates -> near-duplicates ->
held-out split -> repeated substrings -> leaks of held-out text -> pieces, funnel, evaluation items. The driver holds
names of pieces and counts, no documents but the held-out ones of which the items are made.
"""

from collections import Counter
from functools import partial
from typing import Any

from cluster.data import Task
from cluster.errors import UserError
from pipeline.corpus import bad, exact, families, items, locate, profile, read, split, tables, write
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.leaks import benchmarks
from pipeline.corpus.leaks.plan import decontaminate
from pipeline.corpus.near import earlier
from pipeline.corpus.near.plan import near
from pipeline.corpus.substring.plan import substring
from pipeline.corpus.work import Runner, Work
from pipeline.rows import STEPS
from pipeline.stage import StageContext

PIECE_BYTES = 64_000_000  # input of a piece where the config leaves the number of pieces open
FEWEST_PIECES = 4
PACKED = 4  # how much more text than bytes a compressed file holds
_LEARNT = "work/learnt.json"


def prepare(ctx: StageContext, runner: Runner) -> None:
    """Make the corpus. Raises SourceError for sources that cannot be read, UserError where no text is left."""
    given: CorpusConfig = ctx.config.corpus
    if not ctx.folder.done("contamination.json"):
        benchmarks.check(given.decontaminate.against)
    units = locate.units(given.sources, given.group_bytes)
    pieces = given.pieces or max(FEWEST_PIECES, -(-sum(map(_text_bytes, units)) // PIECE_BYTES))
    config = given.model_copy(update={"pieces": pieces})

    def run(label: str, work: Work, tasks: list[Task], unit: str) -> None:
        named = [Task(task.name, {"name": task.name, **task.arguments}, task.weight) for task in tasks]
        runner(label, partial(work, ctx.folder, config), named, unit)

    if not ctx.folder.done(_LEARNT):
        for name, data in families.learn(config).items():
            ctx.folder.write_bytes(name, data)
        ctx.folder.write_json(_LEARNT, True)
    groups = _read(ctx, run, config, units)
    exact.plan(ctx, run, config)
    if config.dedup.enabled:
        near(ctx, run, config)
    split.plan(ctx, run, config)
    if config.substring.enabled:
        substring(ctx, run, config)
    known = decontaminate(ctx, run, config)
    _write(ctx, run, config, groups)
    if config.dedup.enabled and config.dedup.index:
        earlier.index(ctx, run, config)
    held = tables.rows(
        tables.concat((ctx.folder.read_table(p) for p in ctx.folder.pieces("heldout/")), tables.DOCUMENTS)
    )
    made = items.make(held, config.items, known)
    for kind, found in made.items():
        ctx.folder.write_jsonl(f"items/{kind}.jsonl", found)
    ctx.count(items={kind: len(found) for kind, found in made.items()}, pieces=pieces)


def _text_bytes(unit: locate.Unit) -> int:
    """About how much text a unit holds."""
    return (unit.end - unit.start) * (PACKED if unit.path.endswith((".gz", ".zst", ".bz2", ".parquet")) else 1)


def _read(ctx: StageContext, run: Runner, config: CorpusConfig, units: list[locate.Unit]) -> list[str]:
    """Groups of input to canonical pieces; the names of the groups."""
    tasks, names = [], []
    for group in locate.groups(units, config.group_bytes):
        name = locate.name_of(group)
        size = sum(unit.end - unit.start for unit in group) / 1e6
        arguments = {"group": name, "units": [unit.plain() for unit in group]}
        tasks.append(Task(f"work/read/{name}.json", arguments, size))
        names.append(name)
    run("reading", read.read, sorted(tasks, key=lambda task: -task.weight), "MB")  # the largest first
    names.sort()
    gathered = [Task(f"work/gather/{n:05d}.json", {"n": n, "groups": names}, 1) for n in range(config.pieces)]
    run("gathering", read.gather, gathered, "pieces")
    bad.judge(ctx, config, names)
    return names


def _write(ctx: StageContext, run: Runner, config: CorpusConfig, groups: list[str]) -> None:
    tasks = [Task(f"work/accounts/{n:05d}.json", {"n": n}, 1) for n in range(config.pieces)]
    run("writing", write.write, tasks, "pieces")
    parts: list[dict[str, Any]] = [ctx.folder.read_json(task.name) for task in tasks]
    early = [ctx.folder.read_json(f"work/read/{group}.json")["sizes"] for group in groups]
    funnel = write.funnel([source.name for source in config.sources], early, [part["steps"] for part in parts])
    ctx.folder.write_json("funnel.json", funnel)
    ctx.folder.write_json("profile.json", profile.total([part["profile"] for part in parts]))
    for source, steps in funnel.items():
        share = 1 - steps["exact_dup"]["bytes"] / max(1, steps["filter"]["bytes"])
        if steps["filter"]["bytes"] and share > config.dedup.max_loss:
            ctx.event("source_lost", step="exact_dup", source=source, share=round(share, 4))

    def size(step: str, fact: str) -> int:
        return sum(steps[step][fact] for steps in funnel.values())

    if not size(STEPS[-1], "documents"):
        lost: Counter[str] = Counter()
        for step, facts in ((step, facts) for steps in funnel.values() for step, facts in steps.items()):
            lost.update({f"{step}, {reason}": count for reason, count in facts["dropped"].items()})
        most = "; ".join(f"{count} by {why}" for why, count in lost.most_common(3))
        rule = f"no document is left: {size('filter', 'documents')} passed the filters ({most or 'none was found'})"
        raise UserError("corpus.sources", [s.name for s in config.sources], rule, "Add text, or loosen the rules")
    held = [ctx.folder.read_table(piece) for piece in ctx.folder.pieces("heldout/")]
    ctx.count(
        kept={fact: size(STEPS[-1], fact) for fact in ("documents", "bytes")},
        heldout={
            "documents": sum(map(len, held)),
            "bytes": sum(len(t.encode()) for h in held for t in h["text"].to_pylist()),
        },
        dropped=sum(
            n for s in funnel.values() for step in STEPS if step != "split" for n in s[step]["dropped"].values()
        ),
    )
