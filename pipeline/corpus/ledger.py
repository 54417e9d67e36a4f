"""The ledger of a corpus: what became of each document, and the funnel that follows from it. Pure; knows no text.

Documents are known by position: sorted by id, then by what else a record says, so that neither the order of files nor
that of tasks shows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.corpus.shingles import U64
from pipeline.rows import STEPS

Funnel = dict[str, dict[str, dict[str, Any]]]
Size = tuple[int, int]  # documents, bytes of text


@dataclass(frozen=True)
class Fate:
    """Why a document left the training text. The step ``split`` means that it is held out."""

    step: str
    reason: str
    score: float
    partner: str


@dataclass
class Ledger:
    """Columns over positions, and the fate of those that are no longer training text."""

    ids: list[str]
    sources: list[str]
    sizes: list[int]
    contents: list[str]
    group: list[str]  # scratch that holds the text: group, piece, row
    piece: list[int]
    row: list[int]
    bands: U64
    fates: dict[int, Fate] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: pa.Table) -> "Ledger":
        """From the keys of all groups, in any order."""
        keys = keys.sort_by([(name, "ascending") for name in ("id", "order", "group", "row")])
        bands = [keys[name].to_numpy() for name in keys.column_names if name.startswith("band_")]
        columns = {
            field: keys[name].to_pylist()
            for field, name in (
                ("ids", "id"),
                ("sources", "source"),
                ("sizes", "bytes"),
                ("contents", "content"),
                ("group", "group"),
                ("piece", "piece"),
                ("row", "row"),
            )
        }
        return cls(**columns, bands=np.stack(bands, axis=1))

    def __len__(self) -> int:
        return len(self.ids)

    def training(self) -> list[int]:
        """Positions that are still training text."""
        return [i for i in range(len(self)) if i not in self.fates]

    def held_out(self) -> list[int]:
        """Positions of held-out documents."""
        return [i for i in range(len(self)) if i in self.fates and self.fates[i].step == "split"]

    def leave(self, position: int, step: str, reason: str, score: float = 0.0, partner: str = "") -> None:
        """Take a document out of the training text. It may leave once."""
        assert position not in self.fates and step in STEPS
        self.fates[position] = Fate(step, reason, score, partner)

    def places(self, positions: Iterable[int]) -> Iterator[tuple[str, int, int]]:
        """Where the texts are: group, piece, row."""
        return ((self.group[i], self.piece[i], self.row[i]) for i in positions)


def funnel(early: dict[str, dict[str, Size]], reasons: dict[tuple[str, str, str], int], ledger: Ledger) -> Funnel:
    """Source -> step -> documents and bytes that are left after it, and what it dropped for which reason.

    ``early`` holds what was left after read and clean, ``reasons`` counts (source, step, reason) of the drops of the
    first three steps. The split's ``dropped`` are the documents that it moved to the held-out set.
    """
    made: Funnel = {}
    left: dict[str, list[int]] = {source: [0, 0] for source in early}
    gone: dict[str, dict[str, list[int]]] = {step: {} for step in STEPS}
    for i, source in enumerate(ledger.sources):
        left[source][0] += 1
        left[source][1] += ledger.sizes[i]
    counted = dict(reasons)
    for i, fate in ledger.fates.items():
        both = gone[fate.step].setdefault(ledger.sources[i], [0, 0])
        both[0] += 1
        both[1] += ledger.sizes[i]
        key = (ledger.sources[i], fate.step, fate.reason)
        counted[key] = counted.get(key, 0) + 1
    for source, sizes in sorted(early.items()):
        made[source] = {}
        for step in STEPS:
            if step in sizes:
                documents, size = sizes[step]
            else:
                lost = gone[step].get(source, [0, 0])
                left[source] = [left[source][0] - lost[0], left[source][1] - lost[1]]
                documents, size = left[source]
            why = {reason: n for (s, at, reason), n in sorted(counted.items()) if (s, at) == (source, step)}
            made[source][step] = {"documents": documents, "bytes": size, "dropped": why}
    return made
