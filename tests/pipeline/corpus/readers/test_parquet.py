"""Parquet: every type that holds strings, row groups as ranges, and files that are damaged."""

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.records import Raw
from tests.pipeline.corpus.readers.support import read, table, texts

WORDS = ["one", "two", "", "größer"]


STRINGS = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]


@pytest.mark.parametrize("kind", [*STRINGS, pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_each_type_of_text_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    values = pa.array([w.encode() if binary else w for w in WORDS])
    column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
    (tmp_path / "a.parquet").write_bytes(table({"text": column}))
    found = read(tmp_path / "a.parquet", "parquet")
    assert texts(found) == WORDS
    assert found[0]["id"] == rows.document_id("s", b'{"text":"one"}')


def test_row_groups_are_read_once_wherever_the_ranges_fall(tmp_path: Path) -> None:
    said = [f"text {i}" * (i % 7) for i in range(500)]
    (tmp_path / "a.parquet").write_bytes(table({"text": said}, row_group_size=30))
    for group_bytes in (50, 1_000, 10**6):
        assert texts(read(tmp_path / "a.parquet", "parquet", group_bytes)) == said, group_bytes


def test_a_column_of_the_wrong_type_or_a_null_costs_each_row(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(table({"text": [1, 2]}))
    found = read(tmp_path / "a.parquet", "parquet")
    assert texts(found) == ["text_not_string"] * 2 and found[1].get("where") == f"{tmp_path}/a.parquet, row 1"
    (tmp_path / "a.parquet").write_bytes(table({"text": [None, "two"]}))
    assert texts(read(tmp_path / "a.parquet", "parquet")) == ["no_text_field", "two"]


def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(table({"body": ["a"], "title": ["b"]}))
    with pytest.raises(SourceError, match=r"corpus\.sources\.s\.fields\.text.*body, title"):
        read(tmp_path / "a.parquet", "parquet")


def test_facts_of_any_type(tmp_path: Path) -> None:
    when = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    columns = {
        "text": ["x"],
        "when": when,
        "price": [Decimal("1.50")],
        "m": [{"url": "u", "day": datetime.date(2024, 1, 2)}],
    }
    (tmp_path / "a.parquet").write_bytes(table(columns))
    fields = {"text": "text", "when": "when", "price": "price", "url": "m.url", "day": "m.day"}
    (raw,) = read(tmp_path / "a.parquet", "parquet", fields=fields)
    assert "meta" in raw and rows.facts_of(raw["meta"]) == {
        "when": "2023-11-14 22:13:20.123456789", "price": "1.50", "url": "u", "day": "2024-01-02",
    }  # fmt: skip


def test_a_string_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    words = pa.array([b"one", b"tw\xff", b"three"])
    bad = pa.Array.from_buffers(pa.string(), 3, words.buffers())
    for column in (bad, words):
        (tmp_path / "a.parquet").write_bytes(table({"text": column, "n": [1, 2, 3]}, use_dictionary=False))
        found = read(tmp_path / "a.parquet", "parquet", fields={"text": "text", "n": "n"})
        assert texts(found) == ["one", "invalid_utf8", "three"]
        raw = found[1]
        assert "reason" in raw and raw["text"] == "tw\ufffd" and raw["id"] == rows.document_id("s", b"tw\xff")


def test_a_cell_that_is_too_long_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(table({"text": ["one", "x" * 10**7, "three"]}))
    assert texts(read(tmp_path / "a.parquet", "parquet")) == ["one", "too_long", "three"]


def test_a_file_cut_short_and_one_that_is_none(tmp_path: Path) -> None:
    data = table({"text": WORDS})
    for held, reason in (
        (data[:-5], "truncated"),
        (data[:40], "truncated"),
        (b"words", "not_parquet"),
        (b"", "not_parquet"),
    ):
        (tmp_path / "a.parquet").write_bytes(held)
        assert texts(read(tmp_path / "a.parquet", "parquet", group_bytes=20)) == [reason]


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    data = bytearray(table({"text": [f"text {i}" for i in range(300)]}, row_group_size=100, compression="gzip"))
    clean = texts(read_bytes(tmp_path, bytes(data)))
    middle = len(data) // 2
    data[middle - 100 : middle + 100] = b"\xff" * 200
    found = read_bytes(tmp_path, bytes(data))
    lost = [raw for raw in found if "reason" in raw]
    assert lost and all(raw["reason"] == "damaged" for raw in lost)
    assert len(found) - len(lost) + sum(raw["score"] for raw in lost) == 300
    assert set(texts(found)) - {"damaged"} < set(clean)


def read_bytes(folder: Path, data: bytes) -> list[Raw]:
    (folder / "a.parquet").write_bytes(data)
    return read(folder / "a.parquet", "parquet")
