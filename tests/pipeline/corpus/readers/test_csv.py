"""CSV: quoting as RFC 4180 says, and what a quote without its partner costs."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import SourceError
from pipeline import rows
from tests.pipeline.corpus.readers.support import read, texts


def test_quotes_lines_and_a_mark_at_the_front(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfid,text,more\r\n1,plain,a\r\n2,"a ""b"", c\r\nd",b\r\n\r\n3,"",c\r\n4,it"s,d\r\n5,nul\0,"e"'
    (tmp_path / "a.csv").write_bytes(data)
    found = read(tmp_path / "a.csv", "csv", fields={"text": "text", "id": "id"})
    assert texts(found) == ["plain", 'a "b", c\r\nd', "", 'it"s', "nul\0"]
    assert [rows.facts_of(raw["meta"])["key"] for raw in found if "meta" in raw] == ["1", "2", "3", "4", "5"]


def test_bad_records_cost_themselves(tmp_path: Path) -> None:
    lines = ["text,n", "one,1", "two", "three,3,3", "\udcff,4", '"open,5', "five,5", '"six",6', '"se"ven,7', "eight,8"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    found = read(tmp_path / "a.csv", "csv")
    assert texts(found) == [
        "one", "wrong_fields", "wrong_fields", "invalid_utf8", "bad_quotes", "five", "six", "bad_quotes", "eight",
    ]  # fmt: skip
    bad = found[4]
    assert "reason" in bad and bad["text"] == '"open,5' and bad.get("where", "").endswith("a.csv, byte 31")


def test_a_quote_that_nothing_closes_costs_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\n"open\ntwo\nthree')
    assert texts(read(tmp_path / "a.csv", "csv")) == ["bad_quotes", "two", "three"]


@pytest.mark.parametrize("long", ["x" * 900_000, '"' + "x\n" * 450_000 + '"', '"' + '""' * 450_000 + '"'])
def test_a_record_that_is_too_long_costs_itself(tmp_path: Path, long: str) -> None:
    (tmp_path / "a.csv").write_text(f"text,n\none,1\n{long},2\nthree,3\n")
    found = read(tmp_path / "a.csv", "csv", limit=1_000)
    assert texts(found) == ["one", "too_long", "three"]
    bad = found[1]
    assert "reason" in bad and abs(bad["score"] - len(long)) < 9


def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("body,title\none,two\n")
    with pytest.raises(SourceError, match=r"corpus\.sources\.s\.fields\.text.*body, title"):
        read(tmp_path / "a.csv", "csv")


def test_a_delimiter_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\tn\none, two\t1\n"three\t"\t3\n')
    assert texts(read(tmp_path / "a.csv", "csv", delimiter="\t")) == ["one, two", "three\t"]


CELL = st.text(st.sampled_from('ab",\n\r é'), max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=6), st.sampled_from(["\r\n", "\n"]), st.sampled_from([0, 1]))
def test_what_the_standard_library_writes_is_read(cells: list[tuple[str, str]], end: str, quoting: int) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=quoting).writerows([("text", "n"), *cells])  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(out.getvalue().encode())
        assert texts(read(path, "csv")) == [text for text, _ in cells]
