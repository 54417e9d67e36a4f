"""The last step: the pieces of kept and dropped documents and of cuts, and what each step did to each source."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import rows
from pipeline.corpus import documents, profile, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.records import drop
from pipeline.corpus.shingles import I64
from pipeline.rows import CUT_TEXT_CHARACTERS, STEPS, Cut, Drop
from pipeline.stage import StageFolder

Account = dict[str, dict[str, dict[str, Any]]]
"""Source -> step -> documents and bytes that are left after it, and how many it dropped for which reason."""


def write(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Write kept, dropped and cuts of piece n, last of all its account; returns how many documents it decided."""
    whole = folder.read_table(rows.piece(documents.DOCS, n))
    drops = tables.concat(
        [folder.read_table(rows.piece("work/drops", n)), tables.dropped(_leaving(folder, config, n, whole))],
        tables.DROPPED,
    )
    kept = documents.load(folder, config, n, "kept").table.combine_chunks()
    cuts = tables.concat([_early(folder, n, kept), tables.cut(_taken(folder, config, n, whole))], tables.CUTS)
    folder.write_table(rows.piece("kept", n), kept)
    folder.write_table(rows.piece("dropped", n), tables.by_id(drops))
    folder.write_table(rows.piece("cuts", n), tables.by_id(cuts))
    folder.write_json(name, {"steps": account(folder, config, n, whole, drops), "profile": profile.of(kept)})
    return len(whole)


def _leaving(folder: StageFolder, config: CorpusConfig, n: int, whole: pa.Table) -> list[Drop]:
    """The documents that a step took. One whose partner says the same is named without its text."""
    found = []
    for step in documents.steps_before(config, "kept"):
        if step == "split":
            continue
        fates = documents.fates(folder, config, step, n)
        rows_of = whole.take(pa.array(fates["place"].to_numpy() & np.uint64(0xFFFFFFFF)))
        for row, fate in zip(tables.rows(rows_of), fates.to_pylist(), strict=True):
            text = "" if fate["reason"] == "same_text" else row["text"]
            made = drop(row["source"], row["id"], step, fate["reason"], fate["score"], text, fate["partner"])
            made["cluster"] = fate["cluster"]
            found.append(made)
    return found


def _early(folder: StageFolder, n: int, kept: pa.Table) -> pa.Table:
    """Cuts of the first steps in documents that are still there, held-out ones included."""
    held = folder.read_table(rows.piece("heldout", n))["id"].to_pylist()
    still = pa.array([*kept["id"].to_pylist(), *held], pa.string())
    cuts = folder.read_table(rows.piece("work/early_cuts", n))
    return cuts.filter(pa.compute.is_in(cuts["id"], still))


def _taken(folder: StageFolder, config: CorpusConfig, n: int, whole: pa.Table) -> list[Cut]:
    """Cuts of the later steps, one for each document and reason. Offsets of a step are those of the text before it."""
    found: list[Cut] = []
    for step, cuts in documents.cuts(folder, config, n):
        loaded = documents.load(folder, config, n, step)
        at = {int(row): i for i, row in enumerate(loaded.rows)}
        by_reason: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
        for cut in cuts.to_pylist():
            by_reason[cut["row"], cut["reason"]].append((cut["start"], cut["end"]))
        for (row, reason), ranges in sorted(by_reason.items()):
            document = tables.rows(loaded.table.slice(at[row], 1))[0]
            start, end = ranges[0]
            first = document["text"].encode()[start:end].decode(errors="replace")[:CUT_TEXT_CHARACTERS]
            size = sum(b - a for a, b in ranges)
            about = {"id": document["id"], "source": document["source"], "step": step, "reason": reason}
            found.append(Cut(**about, count=len(ranges), bytes=size, text=first))  # type: ignore[typeddict-item]
    return found


def account(folder: StageFolder, config: CorpusConfig, n: int, whole: pa.Table, drops: pa.Table) -> Account:
    """What each step from exact_dup on left of each source, and why all steps dropped what they dropped."""
    source = np.array(whole["source"].to_pylist(), object)
    size = documents.byte_lengths(whole).copy()
    alive = np.ones(len(whole), bool)
    made: Account = defaultdict(dict)
    on = documents.steps_before(config, "kept")
    for step in STEPS[3:]:
        if step in on:
            gone = documents.fates(folder, config, step, n)
            at = (gone["place"].to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.int64)
            alive[at] = False
            if step == "split":
                for name, count in Counter(source[at].tolist()).items():
                    made[name].setdefault(step, {})["dropped"] = {"held_out": count}
            _shorten(folder, step, n, size)
        for name in sorted(set(source.tolist())):
            own = alive & (source == name)
            facts = {"documents": int(own.sum()), "bytes": int(size[own].sum())}
            made[name][step] = {"dropped": {}, **made[name].get(step, {}), **facts}
    for (name, step, reason), count in sorted(_reasons(drops).items()):
        made[name].setdefault(step, {"documents": 0, "bytes": 0, "dropped": {}})["dropped"][reason] = count
    return dict(made)


def _shorten(folder: StageFolder, step: str, n: int, size: I64) -> None:
    if folder.done(documents.cut_piece(step, n)):
        cuts = folder.read_table(documents.cut_piece(step, n))
        np.subtract.at(size, cuts["row"].to_numpy(), cuts["end"].to_numpy() - cuts["start"].to_numpy())


def _reasons(drops: pa.Table) -> Counter[tuple[str, str, str]]:
    return Counter(zip(*(drops[column].to_pylist() for column in ("source", "step", "reason")), strict=True))


def funnel(sources: list[str], early: list[dict[str, dict[str, list[int]]]], late: list[Account]) -> Account:
    """The sum of all accounts: ``early`` of the reading tasks (read, clean, filter), ``late`` of the pieces."""
    made: Account = {
        source: {step: {"documents": 0, "bytes": 0, "dropped": {}} for step in STEPS} for source in sorted(sources)
    }
    for sizes in early:
        for source, steps in sizes.items():
            for step, (count, size) in steps.items():
                made[source][step]["documents"] += count
                made[source][step]["bytes"] += size
    for account in late:
        for source, facts_of in account.items():
            for step, facts in facts_of.items():
                into = made[source][step]
                into["documents"] += facts["documents"]
                into["bytes"] += facts["bytes"]
                for reason, count in facts["dropped"].items():
                    into["dropped"][reason] = into["dropped"].get(reason, 0) + count
    return made
