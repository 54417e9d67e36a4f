"""Decontamination as tasks: the index, hits by piece, counts over all pieces, then judgement by piece. Knows no Ray.

The driver holds the index and one count for each of its n-grams; texts and hits stay with the pieces.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cluster.data import Task
from pipeline.corpus import documents, shingles
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.leaks import benchmarks
from pipeline.corpus.leaks.contamination import contamination
from pipeline.corpus.leaks.index import Index, Maker, find
from pipeline.corpus.leaks.judge import Leak, judge, knows, spans
from pipeline.corpus.near import earlier
from pipeline.corpus.shingles import I64
from pipeline.corpus.work import Runner
from pipeline.rows import piece
from pipeline.stage import StageContext, StageFolder

STEP = "decontaminate"
HOLDS = {True: "holds_benchmark_item", False: "holds_heldout_text"}

_WORK = "work/decontaminate"
_COUNTS = f"{_WORK}/counts.bin"

Bits = NDArray[np.bool_]


def decontaminate(ctx: StageContext, run: Runner, config: CorpusConfig) -> Callable[[str], bool]:
    """Drop or cut leaks; says whether the training text still holds a text. Raises SourceError for a benchmark."""
    index = _index(ctx.folder, config)
    searches = [Task(f"{_WORK}/hits/{n:05d}.parquet", {"n": n}, 1) for n in range(config.pieces)]
    run("searching held-out text", search, searches, "pieces")
    counts = np.zeros(len(index.hashes), np.int64)
    for n in range(config.pieces):
        seen = ctx.folder.read_table(piece(f"{_WORK}/seen", n))
        counts[seen["gram"].to_numpy()] += seen["documents"].to_numpy()
    ctx.folder.write_bytes(_COUNTS, counts.astype("<i8").tobytes())
    tasks = [Task(f"{_WORK}/judged/{n:05d}.json", {"n": n}, 1) for n in range(config.pieces)]
    run("decontaminating", decide, tasks, "pieces")
    parts: list[dict[str, Any]] = [ctx.folder.read_json(task.name) for task in tasks]
    after = np.zeros(len(counts), bool)
    for n in range(config.pieces):
        after |= _bits(ctx.folder.read_bytes(f"{_WORK}/after/{n:05d}.bin"), len(after))
    rare = counts <= config.decontaminate.common
    found = contamination(index, counts > 0, after, rare, [part["leaks"] for part in parts])
    ctx.folder.write_json("contamination.json", found)
    for benchmark, own_of in found.items():
        if own_of["left"] and benchmark != benchmarks.HELDOUT:
            facts = {"items": own_of["items"], "boilerplate": own_of["boilerplate"]}
            ctx.event("benchmark_left", benchmark=benchmark, left=own_of["left"], **facts)
    _account(ctx, config, parts)
    own = config.decontaminate
    return knows(index.hashes[after & (index.short == 0)], own.words, own.min_hits)


def _index(folder: StageFolder, config: CorpusConfig) -> Index:
    maker = Maker(config.decontaminate)
    for held in chain(map(folder.read_table, folder.pieces("heldout/")), earlier.heldout(config.dedup)):
        maker.documents(held["id"].to_pylist(), held["text"].to_pylist())
    for path in benchmarks.files(config.decontaminate.against):
        maker.items(benchmarks.read(path))
    index = maker.index()
    index.write(folder)
    return index


def search(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """The held-out n-grams that the training documents of piece n have, and in how many each stands."""
    loaded = documents.load(folder, config, n, STEP)
    index = Index.load(folder)
    document, gram, sizes = find(loaded.table["text"].to_pylist(), index, config.decontaminate)
    grams, count = np.unique(gram, return_counts=True)
    columns = {"gram": grams.astype(np.uint32), "documents": count.astype(np.int64)}
    folder.write_table(piece(f"{_WORK}/seen", n), pa.table(columns))
    # What is common in this piece alone is common: its hits, which may be many, are kept for benchmarks only.
    few = (count[np.searchsorted(grams, gram)] <= config.decontaminate.common) | index.of_items()[gram]
    document, gram = document[few], gram[few]
    hits = {"document": document.astype(np.uint32), "gram": gram.astype(np.uint32), "of": sizes[document]}
    folder.write_table(name, pa.table(hits))
    return len(loaded.table)


def decide(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """Judge the training documents of piece n: fates or cuts, what still stands, and who leaked what."""
    loaded = documents.load(folder, config, n, STEP)
    index = Index.load(folder)
    counts = np.frombuffer(folder.read_bytes(_COUNTS), "<i8")
    rare = counts <= config.decontaminate.common
    hits = folder.read_table(f"{_WORK}/hits/{n:05d}.parquet")
    document, gram = (hits[column].to_numpy().astype(np.int64) for column in ("document", "gram"))
    sizes = np.zeros(len(loaded.table), np.int64)
    sizes[document] = hits["of"].to_numpy()
    leaks = judge(document, gram, sizes, index, rare, config.decontaminate)
    texts = {leak.document: str(loaded.table["text"][leak.document]) for leak in leaks}
    cuts = _cuts(leaks, texts, loaded.table, index, rare, config) if config.decontaminate.mode == "cut" else {}
    gone = [leak for leak in leaks if leak.document not in cuts]
    documents.write_fates(folder, config, STEP, n, _fates(gone, loaded.places, index))
    if cuts:
        documents.write_cuts(folder, STEP, n, _cut_table(leaks, cuts, texts, loaded.rows, index))
    # What many documents have, still stands: only few of them leak.
    left = np.zeros(len(counts), bool)
    left[gram[~np.isin(document, list(texts))]] = True
    left |= ~rare & ~index.of_items()
    if cuts:
        again = [documents.without(texts[i], _bytes(texts[i], ranges)) for i, ranges in sorted(cuts.items())]
        left[find(again, index, config.decontaminate)[1]] = True
    folder.write_bytes(f"{_WORK}/after/{n:05d}.bin", np.packbits(left).tobytes())
    folder.write_json(name, _told(loaded.table, leaks, cuts, texts, index))
    return len(loaded.table)


Ranges = dict[int, list[tuple[int, int]]]  # document -> character ranges


def _cuts(
    leaks: list[Leak], texts: dict[int, str], table: pa.Table, index: Index, rare: Bits, config: CorpusConfig
) -> Ranges:
    """What to cut out of which documents. Others go whole: conversations, and those that cannot be cut clean."""
    own = config.decontaminate
    made: Ranges = {}
    for leak in leaks:
        text = texts[leak.document]
        found = [] if '"turns"' in str(table["meta"][leak.document]) else spans(text, index, rare, own)
        left = documents.without(text, _bytes(text, found))
        if found and left.strip() and not judge(*find([left], index, own), index, rare, own):
            made[leak.document] = found
    return made


def _bytes(text: str, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of characters as ranges of bytes."""
    return [(len(text[:start].encode()), len(text[:end].encode())) for start, end in ranges]


def _fates(gone: list[Leak], places: NDArray[np.uint64], index: Index) -> pa.Table:
    names = [index.names[leak.held] for leak in gone]
    columns: dict[str, Any] = {
        "place": places[[leak.document for leak in gone]] if gone else [],
        "reason": [HOLDS[benchmarks.is_item(name)] for name in names],
        "score": [float(leak.hits) for leak in gone],
        "partner": names,
        "cluster": [""] * len(gone),
    }
    return pa.table(columns, schema=documents.FATES)


def _cut_table(leaks: list[Leak], cuts: Ranges, texts: dict[int, str], rows: I64, index: Index) -> pa.Table:
    held = {leak.document: index.names[leak.held] for leak in leaks}
    made: list[dict[str, Any]] = []
    for i, ranges in sorted(cuts.items()):
        facts = {"row": int(rows[i]), "reason": HOLDS[benchmarks.is_item(held[i])], "partner": held[i]}
        made += [{**facts, "start": start, "end": end} for start, end in _bytes(texts[i], ranges)]
    return pa.Table.from_pylist(made, schema=documents.CUTS)


def _told(table: pa.Table, leaks: list[Leak], cuts: Ranges, texts: dict[int, str], index: Index) -> dict[str, Any]:
    """Documents by benchmark and what became of them, and bytes by source, before and lost."""
    sources = table["source"].to_pylist()
    lengths = documents.byte_lengths(table).tolist()
    sizes: dict[str, list[int]] = {source: [0, 0] for source in sorted(set(sources))}
    for source, size in zip(sources, lengths, strict=True):
        sizes[source][0] += size
    by_benchmark: dict[str, list[int]] = {}
    for leak in leaks:
        ranges = cuts.get(leak.document)
        lost = sum(b - a for a, b in _bytes(texts[leak.document], ranges)) if ranges else lengths[leak.document]
        sizes[sources[leak.document]][1] += lost
        told = by_benchmark.setdefault(benchmarks.of(index.names[leak.held]), [0, 0])
        told[bool(ranges)] += 1
    return {"leaks": by_benchmark, "sizes": sizes}


def _bits(packed: bytes, count: int) -> Bits:
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(bool)


def _account(ctx: StageContext, config: CorpusConfig, parts: list[dict[str, Any]]) -> None:
    """What each source lost, loudly where it is much."""
    lost = {}
    for source in sorted({source for part in parts for source in part["sizes"]}):
        before, gone = (sum(part["sizes"].get(source, [0, 0])[k] for part in parts) for k in (0, 1))
        lost[source] = round(gone / before, 4) if before else 0.0
        if lost[source] > config.decontaminate.max_loss:
            ctx.event("source_lost", step=STEP, source=source, share=lost[source])
    ctx.count(decontamination_loss=lost, decontamination_scheme=shingles.SCHEME)
