"""A corpus in memory, its repeated text removed by the step as it is, and by oracles."""

import contextlib
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.substring.config import SubstringConfig
from pipeline.corpus.substring.plan import substring
from pipeline.corpus.work import Work
from pipeline.rows import Row
from pipeline.stage import StageContext, StageFolder

Cuts = dict[str, list[tuple[int, int, str]]]  # of a document: start, end, partner


class Memory:
    """A storage that is a dictionary."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.held[key] = bytes(data)

    def get(self, key: str) -> bytes:
        if key not in self.held:
            raise FileNotFoundError(key)
        return self.held[key]

    def delete(self, key: str) -> None:
        self.held.pop(key, None)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self.get(key)[start : start + length]


class MemoryFolder(StageFolder):
    """A stage folder in memory."""

    @property
    def storage(self) -> Any:
        return self.__dict__.setdefault("memory", Memory())


def config(pieces: int, **settings: Any) -> CorpusConfig:
    found = SimpleNamespace(
        pieces=pieces, dedup=SimpleNamespace(enabled=False), substring=SubstringConfig(enabled=True, **settings)
    )
    return cast(CorpusConfig, found)


def canonical(texts: list[str], pieces: int) -> list[list[Row]]:
    """Documents with the ids of their texts and turns, in their pieces."""
    made = [
        Row(id=rows.document_id(f"s{i}", text.encode()), source="s", text=text, meta="") for i, text in enumerate(texts)
    ]
    made.sort(key=lambda row: row["id"])
    return [[row for row in made if rows.piece_of(row["id"], pieces) == n] for n in range(pieces)]


class Killed(Exception):
    """The end of a process."""


class Step:
    """The step run on canonical documents."""

    def __init__(self, texts: list[str], pieces: int = 1, most: int = 10_000, **settings: Any) -> None:
        self.config, self.folder = config(pieces, **settings), MemoryFolder("run", "corpus", "f")
        self.pieces = canonical(texts, pieces)
        self.rows = [row for piece in self.pieces for row in piece]
        self.events: list[dict[str, Any]] = []
        nothing = documents.FATES.empty_table()
        for n, piece in enumerate(self.pieces):
            self.folder.write_table(rows.piece(documents.DOCS, n), tables.documents(piece))
            for step in documents.steps_before(self.config, "substring"):
                documents.write_fates(self.folder, self.config, step, n, nothing)
        self.worked = 0
        with contextlib.suppress(Killed):
            self.run(most)

    def run(self, most: int = 10_000) -> None:
        """Run what does not stand yet; the process dies where more tasks than ``most`` are to be done."""
        self.left = most
        context = SimpleNamespace(folder=self.folder, count=self._count, event=lambda kind, **f: self.events.append(f))
        substring(cast(StageContext, context), self._run, self.config)

    def _run(self, label: str, work: Work, tasks: list[Task], unit: str) -> None:
        for task in reversed(tasks):  # any order will do
            if not self.folder.done(task.name):
                if not self.left:
                    raise Killed
                self.left -= 1
                self.worked += 1
                work(self.folder, self.config, task.name, **task.arguments)
                assert self.folder.done(task.name)

    def _count(self, **facts: Any) -> None:
        self.counts = facts["substring"]

    def cuts(self) -> Cuts:
        found: Cuts = {row["id"]: [] for row in self.rows}
        for n, piece in enumerate(self.pieces):
            for step, table in documents.cuts(self.folder, self.config, n):
                assert step == "substring"
                for cut in table.to_pylist():
                    found[piece[cut["row"]]["id"]].append((cut["start"], cut["end"], cut["partner"]))
        return found

    def fates(self) -> pa.Table:
        return tables.concat(
            (documents.fates(self.folder, self.config, "substring", n) for n in range(len(self.pieces))),
            documents.FATES,
        )


def naive(texts: list[bytes], length: int) -> list[list[bool]]:
    """Of each byte of each text: whether it goes. A dictionary of all windows, as the definition says."""
    seen: set[bytes] = set()
    gone = []
    for text in texts:
        marks = [False] * len(text)
        for at in range(len(text) - length + 1):
            if text[at : at + length] in seen:
                marks[at : at + length] = [True] * length
            seen.add(text[at : at + length])
        gone.append(marks)
    return gone


def suffix_array(texts: list[bytes], length: int) -> list[list[bool]]:
    """The same from a suffix array with LCP: of the windows in a row with one prefix, all but the least go."""
    from pydivsufsort import divsufsort, kasai

    data = b"".join(texts)
    ends = np.cumsum([len(text) for text in texts])
    order = divsufsort(data)
    shared = np.minimum(kasai(data, order), length)  # with the next suffix
    left = ends[np.searchsorted(ends, order, side="right")] - order
    head = np.concatenate([[True], shared[:-1] < length])
    group = np.cumsum(head) - 1
    whole = left >= length  # windows that cross the end of a document are none
    earliest = np.full(int(group[-1]) + 1, len(data))
    np.minimum.at(earliest, group[whole], order[whole])
    later = order[whole & (order != earliest[group])]
    marks = np.zeros(len(data) + 1, np.int64)
    np.add.at(marks, later, 1)
    np.add.at(marks, later + length, -1)
    gone = np.cumsum(marks)[:-1] > 0
    return [part.tolist() for part in np.split(gone, ends[:-1])]
