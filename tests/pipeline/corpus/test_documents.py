"""Canonical documents: what a step sees is what the steps before it left."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rows
from pipeline.corpus import documents, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.rows import Row
from pipeline.stage import StageFolder

PIECES = 2
CONFIG = cast(
    CorpusConfig,
    SimpleNamespace(pieces=PIECES, dedup=SimpleNamespace(enabled=True), substring=SimpleNamespace(enabled=True)),
)


def fates(*places: int) -> pa.Table:
    size = len(places)
    columns: list[Any] = [np.array(places, np.uint64), ["why"] * size, [0.5] * size, ["p"] * size, ["c"] * size]
    return pa.table(columns, schema=documents.FATES)


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    to = StageFolder.open(str(tmp_path), "corpus", "f")
    for n in range(PIECES):
        made = [Row(id=f"{n}{i}", source="s", text=f"text ä {n}{i}", meta="") for i in range(4)]
        to.write_table(rows.piece(documents.DOCS, n), tables.documents(made), documents.ROWS_A_GROUP)
    for step in documents.steps_before(CONFIG, "kept"):
        for number in range(PIECES):
            documents.write_fates(to, CONFIG, step, number, fates())
    return to


def ids(folder: StageFolder, n: int, before: str) -> list[str]:
    found: list[str] = documents.load(folder, CONFIG, n, before).table["id"].to_pylist()
    return found


def test_a_step_sees_what_the_steps_before_it_left(folder: StageFolder) -> None:
    documents.write_fates(folder, CONFIG, "exact_dup", 1, fates(1 << 32 | 3, 0))
    documents.write_fates(folder, CONFIG, "near_dup", 0, fates(2))
    assert ids(folder, 0, "exact_dup") == ["00", "01", "02", "03"]
    assert ids(folder, 0, "near_dup") == ["01", "02", "03"] and ids(folder, 1, "split") == ["10", "11", "12"]
    loaded = documents.load(folder, CONFIG, 0, "kept")
    assert loaded.table["id"].to_pylist() == ["01", "03"] and loaded.places.tolist() == [1, 3]
    told = documents.fates(folder, CONFIG, "exact_dup", 1).to_pylist()
    assert told == [{"place": 1 << 32 | 3, "reason": "why", "score": 0.5, "partner": "p", "cluster": "c"}]


def test_cuts_shorten_the_text_for_later_steps_only(folder: StageFolder) -> None:
    cut = pa.table([[1, 1], [0, 5], [5, 8], ["r", "r"], ["", ""]], schema=documents.CUTS)
    documents.write_cuts(folder, "substring", 0, cut)
    texts = documents.load(folder, CONFIG, 0, "substring").table["text"].to_pylist()
    assert texts[1] == "text ä 01"
    assert documents.load(folder, CONFIG, 0, "decontaminate").table["text"].to_pylist()[1] == "01"


def test_a_local_step_speaks_of_its_own_piece(folder: StageFolder) -> None:
    with pytest.raises(AssertionError, match="local"):
        documents.write_fates(folder, CONFIG, "split", 0, fates(1 << 32))


def test_documents_are_taken_by_place_in_the_order_asked_for(folder: StageFolder) -> None:
    found = documents.take(folder, np.array([1 << 32 | 2, 3, 1 << 32 | 2], np.uint64))
    assert [row["id"] for row in found] == ["12", "03", "12"]


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40), edges=st.lists(st.integers(0, 40), max_size=6))
def test_without_takes_exactly_the_ranges(text: str, edges: list[int]) -> None:
    data = text.encode(errors="ignore")
    text = data.decode()
    bounds = sorted({len(text[: min(edge, len(text))].encode()) for edge in edges})
    ranges = list(zip(bounds[::2], bounds[1::2], strict=False))
    kept = bytes(b for i, b in enumerate(data) if not any(a <= i < z for a, z in ranges))
    assert documents.without(text, ranges).encode() == kept
