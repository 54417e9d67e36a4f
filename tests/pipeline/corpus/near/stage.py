"""A corpus of given documents in canonical pieces, and the near-duplicate step run on it by a loop. No Ray."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.near.plan import near
from pipeline.corpus.work import Runner, Work
from pipeline.rows import Row
from pipeline.stage import StageContext, StageFolder


class Stage:
    """Documents in ``pieces`` pieces under ``root``, all of them training text, and what the step made of them."""

    def __init__(
        self, root: Path, made: Sequence[Row], pieces: int, priority: dict[str, int] | None = None, **dedup: Any
    ) -> None:
        self.folder = StageFolder.open(str(root), "corpus", "f")
        sources = [
            SimpleNamespace(name=s, priority=(priority or {}).get(s, 0)) for s in {row["source"] for row in made}
        ]
        settings = {"pieces": pieces, "sources": sources, "dedup": DedupConfig(**dedup)}
        self.config = cast(CorpusConfig, SimpleNamespace(**settings, substring=SimpleNamespace(enabled=False)))
        self.held: set[str] = set()  # documents that count as held out when the stage ends
        self.events: list[tuple[str, dict[str, Any]]] = []
        context = SimpleNamespace(folder=self.folder, counts={}, event=lambda kind, **f: self.events.append((kind, f)))
        context.count = lambda **facts: context.counts.update(facts)
        self.context = cast(StageContext, context)
        none = documents.FATES.empty_table()
        for n in range(pieces):
            own = sorted((row for row in made if rows.piece_of(row["id"], pieces) == n), key=lambda row: row["id"])
            self.folder.write_table(rows.piece(documents.DOCS, n), tables.documents(own), documents.ROWS_A_GROUP)
            for step in ("exact_dup", "split", "decontaminate"):
                documents.write_fates(self.folder, self.config, step, n, none)

    def runner(self, backwards: bool = False) -> Runner:
        """Tasks one after the other, from the first or from the last; those that stand are left out."""

        def run(label: str, work: Work, tasks: list[Task], unit: str) -> None:
            for task in tasks[::-1] if backwards else tasks:
                if not self.folder.done(task.name):
                    partial(work, self.folder, self.config)(name=task.name, **task.arguments)

        return run

    def near(self, backwards: bool = False) -> dict[str, Any]:
        """Run the step; its counts."""
        near(self.context, self.runner(backwards), self.config)
        counts: dict[str, Any] = self.context.counts["near_dup"]
        return counts

    def keep(self) -> None:
        """Write the kept and held-out pieces, as the end of the stage does."""
        for n in range(self.config.pieces):
            left = documents.load(self.folder, self.config, n, "kept").table
            held = pc.is_in(left["id"], pa.array(sorted(self.held), pa.string()))
            self.folder.write_table(rows.piece("kept", n), left.filter(pc.invert(held)))
            self.folder.write_table(rows.piece("heldout", n), left.filter(held))

    def fates(self) -> dict[str, dict[str, Any]]:
        """Document -> why it left, its partner and its cluster."""
        found = {}
        for n in range(self.config.pieces):
            ids = self.folder.read_table(rows.piece(documents.DOCS, n))["id"].to_pylist()
            for fate in documents.fates(self.folder, self.config, "near_dup", n).to_pylist():
                found[ids[fate.pop("place") & 0xFFFFFFFF]] = fate
        return dict(sorted(found.items()))


def row(text: str, source: str = "s", meta: str = "") -> Row:
    return Row(id=rows.document_id(source, text.encode()), source=source, text=text, meta=meta)


def scattered(count: int, parts: int, seed: int = 0) -> Any:
    """Places of ``count`` documents, spread over pieces."""
    piece = np.random.default_rng(seed).integers(0, parts, count, dtype=np.uint64)
    return np.sort(piece << np.uint64(32) | np.arange(count, dtype=np.uint64))


def table_of(members: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(members), schema=schema)
