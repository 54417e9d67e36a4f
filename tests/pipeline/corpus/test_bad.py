"""What cannot be read ends the run with its reasons and places; what is passed over is counted and told."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import SourceError, UserError
from cluster.fields import EXECUTION, mark_of
from pipeline.corpus import bad, inspect, view
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.sections import Examples, Table
from pipeline.stage import StageFolder
from tests.pipeline.corpus.readers.support import http, page, record, table
from tests.pipeline.corpus.test_prepare import make
from tests.support.context import Heard
from tests.support.corpus import Writer

SAY = Writer("bad")
GOOD = [SAY.text(12) for _ in range(30)]


def run(folder: Path, kind: str, **settings: Any) -> tuple[StageFolder, Heard]:
    """The stage over the files in ``in``."""
    source = {"name": "s", "kind": kind, "path": f"{folder}/in", **settings}
    made, heard, _ = make(folder / "run", CorpusConfig.model_validate({"sources": [source], "pieces": 2}))
    return made, heard


def put(folder: Path, name: str, data: bytes | list[dict[str, Any]]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    said = data if isinstance(data, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in data)
    (folder / "in" / name).write_bytes(said)


def good(name: str = "text", count: int = len(GOOD)) -> list[dict[str, Any]]:
    return [{name: text, "\ud800": i} for i, text in enumerate(GOOD[:count])]


def test_a_wrong_name_of_the_text_is_told_with_reasons_places_and_the_fields_there_are(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", [*good("body"), {"text": 7}])
    with pytest.raises(SourceError) as caught:
        run(tmp_path, "jsonl")
    told = str(caught.value)
    assert "31 of 31 records" in told and "30 no_text_field, 1 text_not_string" in told
    assert f"no_text_field: {tmp_path}/in/a.jsonl, byte 0 (its fields are body, ?)" in told
    assert told.count("a.jsonl, byte") == bad.EXAMPLES and f"inspect {tmp_path}/run corpus --step read" in told


def test_what_could_not_be_read_is_shown_when_the_stage_failed(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", good("body"))
    with pytest.raises(SourceError):
        run(tmp_path, "jsonl")
    folder = StageFolder.open(str(tmp_path / "run"), "corpus")
    (block,) = inspect.inspect(folder, "read", None, 2).blocks
    assert isinstance(block, Examples) and len(block.items) == 2
    assert "its fields are body" in block.items[0].fields["where"] and '"body"' in block.items[0].text
    with pytest.raises(UserError, match=r"not finished.*--step read"):
        inspect.inspect(folder, "clean")


def test_ten_bad_records_are_forgiven_and_max_bad_decides_of_more(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", good("body", 10) + good("text", 20))
    run(tmp_path, "jsonl")
    put(tmp_path, "a.jsonl", good("body", 11) + good("text", 20))
    with pytest.raises(SourceError, match="11 of 31"):
        run(tmp_path / "again", "jsonl", path=f"{tmp_path}/in")
    run(tmp_path / "more", "jsonl", path=f"{tmp_path}/in", max_bad=0.5)
    assert mark_of(Source, "max_bad") == EXECUTION


def test_pages_without_content_and_long_records_end_no_run(tmp_path: Path) -> None:
    bodies = [page(text) for text in GOOD] + ["<p></p>"] * 12 + ["<div>" * 9_000] * 12 + [page("x" * 2_000_000)] * 12
    put(tmp_path, "a.warc", b"".join(record(http(body.encode())) for body in bodies))
    folder, _ = run(tmp_path, "warc")
    dropped = folder.read_json("funnel.json")["s"]["read"]["dropped"]
    assert dropped == {"no_content": 12, "nested_too_deep": 12, "too_long": 12}


def test_a_damaged_row_group_weighs_as_many_records_as_it_has_rows(tmp_path: Path) -> None:
    data = bytearray(table({"text": [SAY.text(3) for _ in range(90)]}, row_group_size=30, compression="gzip"))
    middle = len(data) // 2
    data[middle - 100 : middle + 100] = b"\xff" * 200
    put(tmp_path, "a.parquet", bytes(data))
    with pytest.raises(SourceError, match=r"30 of 90 records .*: 30 damaged"):
        run(tmp_path, "parquet")


def test_bytes_that_stand_in_two_places_are_shown_with_both(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        put(tmp_path, name, [{"title": "same"}, *good()])
    folder, _ = run(tmp_path, "jsonl")
    (block,) = inspect.inspect(folder, "read", None, 1).blocks
    assert isinstance(block, Examples)
    shown = block.items[0].fields["where"]
    assert shown == "; ".join(f"{tmp_path}/in/{name}.jsonl, byte 0 (its fields are title)" for name in "ab")


def test_files_and_records_that_were_passed_over_are_counted(tmp_path: Path) -> None:
    others = [record(http(b"", status="404 Not Found"))] * 3 + [record(http(b"%PDF", kind="application/pdf"))]
    put(tmp_path, "a.warc", b"".join(others + [record(http(page(text).encode())) for text in GOOD]))
    put(tmp_path, "b.warc.gz", b"no gzip")
    for name in ("readme.md", "c.arc", ".hidden"):
        put(tmp_path, name, b"")
    os.mkfifo(tmp_path / "in" / "pipe.warc")
    folder, heard = run(tmp_path, "warc")
    expected = {
        "HTTP status 404": 3,
        "files of other kinds": 2,
        "application/pdf": 1,
        "pipes, devices and links to nothing": 1,
    }
    told = {event["cause"]: event["count"] for event in heard.events if event["kind"] == "passed_over"}
    assert told == expected and not any(event["source"] != "s" for event in heard.events)
    assert {"kind": "files_set_aside", "source": "s", "reason": "not_gzip", "files": 1} in heard.events
    section = view.section(folder, {})
    for blocks in (inspect.inspect(folder).blocks, section.blocks if section else []):
        (shown,) = [block for block in blocks if isinstance(block, Table) and block.title.startswith("Passed over")]
        assert {str(cause): count for _, cause, count in shown.rows} == expected
