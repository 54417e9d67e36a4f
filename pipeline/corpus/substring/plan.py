"""Exact removal of repeated substrings (Lee et al., arXiv 2107.06499), over any number of pieces of text.

Byte i goes if and only if some window of L bytes that covers it stands earlier too, in the order of (document id,
offset); windows do not cross documents. This is the paper's ExactSubstr with two changes: the first occurrence stays,
and a cut shrinks to whole characters, or words.
"""

from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.data import Task
from pipeline.corpus import documents
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.documents import Loaded
from pipeline.corpus.shingles import I64, U64
from pipeline.corpus.substring import ranges, rounds, windows
from pipeline.corpus.substring.ranges import Ranges
from pipeline.corpus.substring.windows import Text
from pipeline.corpus.work import Runner
from pipeline.stage import StageContext, StageFolder

STEP, REASON = "substring", "repeated"


def substring(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Cut repeated substrings, and count what went by source."""
    pieces = range(config.pieces)
    cuts = [Task(f"work/substring/cut/{n:05d}.json", {"n": n}, 1) for n in pieces]
    levels = range(len(windows.blocks(config.substring.length)))
    if not all(ctx.folder.done(task.name) for task in cuts):
        for level in levels:
            asking = [Task(rounds.asked(level, n), {"n": n, "level": level}, 1) for n in pieces]
            run("repeated text: asking", rounds.ask, asking, "pieces")
            answering = [Task(rounds.answered(level, n), {"part": n, "level": level}, 1) for n in pieces]
            run("repeated text: answering", rounds.answer, answering, "parts")
        run("repeated text: cutting", cut, cuts, "pieces")
    for level, n in product(levels, pieces):  # three bytes for each of text; with all cuts made, nobody asks again
        for name in (rounds.asked, rounds.answered, rounds.segments):
            ctx.folder.drop(name(level, n))
    _count(ctx, config, [task.name for task in cuts])


def _count(ctx: StageContext, config: CorpusConfig, cuts: list[str]) -> None:
    total: dict[str, dict[str, int]] = {}
    for name in cuts:
        for source, facts in ctx.folder.read_json(name).items():
            mine = total.setdefault(source, dict.fromkeys(facts, 0))
            for fact, number in facts.items():
                mine[fact] += number
    ctx.count(substring=dict(sorted(total.items())))
    for source, facts in sorted(total.items()):
        share = (facts["cut_bytes"] + facts["dropped_bytes"]) / max(1, facts["bytes"])
        if share > config.substring.max_loss:
            ctx.event("source_lost", step=STEP, source=source, share=share)


def cut(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Write the cuts of piece n, and the documents of which too little is left; returns its documents."""
    settings = config.substring
    loaded = documents.load(folder, config, n, before=STEP)
    text, ids = Text.of(loaded.table["text"]), rounds.ids(loaded.table)
    levels = range(len(windows.blocks(settings.length)))
    found = [rounds.answers(folder, config, n, level).ranges(text, ids, settings.length) for level in levels]
    gone = ranges.snap(text, ranges.union(text, ranges.join(found)), settings.snap == "words")
    document = text.document(gone.start)
    sizes = np.diff(text.ends, prepend=0)
    lost = np.zeros(len(sizes), np.int64)
    np.add.at(lost, document, gone.end - gone.start)
    dropped = (lost > 0) & (sizes - lost < settings.min_left)
    documents.write_fates(folder, config, STEP, n, _fates(loaded, gone, document, dropped, lost / np.maximum(sizes, 1)))
    stays = ~dropped[document]
    documents.write_cuts(folder, STEP, n, _cuts(loaded, text, gone.take(stays), document[stays]))
    folder.write_json(name, _facts(loaded, sizes, lost, dropped))
    return len(loaded.table)


def _hex(numbers: U64) -> list[str]:
    return [row.tobytes().hex() for row in numbers]


def _fates(loaded: Loaded, gone: Ranges, document: I64, dropped: Any, share: Any) -> pa.Table:
    leaving = np.flatnonzero(dropped)
    partner = _hex(gone.partner[np.searchsorted(document, leaving)])
    columns = [loaded.places[leaving], [REASON] * len(leaving), share[leaving], partner, [""] * len(leaving)]
    return pa.table(dict(zip(documents.FATES.names, columns, strict=True)), schema=documents.FATES)


def _cuts(loaded: Loaded, text: Text, gone: Ranges, document: I64) -> pa.Table:
    begin = np.concatenate([[0], text.ends])[document]
    columns = [
        loaded.rows[document],
        gone.start - begin,
        gone.end - begin,
        [REASON] * len(document),
        _hex(gone.partner),
    ]
    return pa.table(dict(zip(documents.CUTS.names, columns, strict=True)), schema=documents.CUTS)


def _facts(loaded: Loaded, sizes: I64, lost: I64, dropped: Any) -> dict[str, dict[str, int]]:
    """Documents and bytes of each source: all, cut, dropped."""
    source = np.array(loaded.table["source"].to_pylist(), dtype=object)
    made = {}
    for name in sorted(set(source.tolist())):
        mine = source == name
        left, shorter = mine & dropped, mine & ~dropped & (lost > 0)
        made[name] = {
            "documents": int(mine.sum()),
            "bytes": int(sizes[mine].sum()),
            "cut_documents": int(shorter.sum()),
            "cut_bytes": int(lost[shorter].sum()),
            "dropped_documents": int(left.sum()),
            "dropped_bytes": int(sizes[left].sum()),
        }
    return made
