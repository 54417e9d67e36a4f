"""JSON lines: bad lines cost themselves, ranges and compression change nothing, names are looked for at any depth."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rows
from pipeline.corpus import inflate
from pipeline.corpus.readers import jsonl, lines
from tests.pipeline.corpus.readers.support import LIMIT, PACK, read, reasons, texts


def test_each_bad_line_is_set_aside_with_its_reason_and_place(tmp_path: Path) -> None:
    said = [
        b'{"text": "one"}',
        b'{"text": "\xff"}',
        b"[1, 2]",
        b'"words"',
        b'{"text": 5}',
        b'{"text": null}',
        b'{"txt": ""}',
        b"{",
        b'{"text": "\\ud800"}',
        b'{"text": "a\\u0000b"}',
        b'{"text": "", "n": 1e999}',
        b'{"text": "", "n": ' + b"9" * 5_000 + b"}",
        b'{"text": "last"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\r\n".join(said))
    found = read(tmp_path / "a.jsonl", "jsonl")
    assert texts(found) == [
        "one", "invalid_utf8", "not_an_object", "not_an_object", "text_not_string", "no_text_field", "no_text_field",
        "not_json", "invalid_utf8", "a\0b", "", "not_json", "last",
    ]  # fmt: skip
    bad = found[3]
    assert "reason" in bad and bad.get("where") == f"{tmp_path}/a.jsonl, byte {sum(len(line) + 2 for line in said[:3])}"


def test_the_mark_of_utf8_costs_no_record(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "one"}\n{"text": "two"}')
    assert texts(read(tmp_path / "a.jsonl", "jsonl")) == ["one", "two"]


def test_a_record_without_text_says_what_its_fields_are(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one", "meta": {"n": 1}}')
    (raw,) = read(tmp_path / "a.jsonl", "jsonl")
    assert raw.get("where") == f"{tmp_path}/a.jsonl, byte 0 (its fields are body, meta)"


@pytest.mark.parametrize("suffix", PACK)
def test_a_line_of_100_mb_costs_itself(tmp_path: Path, suffix: str) -> None:
    long = b'{"text": "' + b"\0" * 100_000_000 + b'"}'
    data = b'{"text": "before"}\n' + long + b'\n{"text": "behind"}\n'
    (tmp_path / f"a.jsonl{suffix}").write_bytes(PACK[suffix](data) if suffix != ".bz2" else PACK[suffix](data[:10_000]))
    found = read(tmp_path / f"a.jsonl{suffix}", "jsonl", group_bytes=4_000_000, limit=1_000)
    if suffix == ".bz2":  # slow to make: the line ends with the file
        assert texts(found) == ["before", "too_long"]
        return
    assert texts(found) == ["before", "too_long", "behind"]
    bad = found[1]
    assert "reason" in bad and bad["score"] == len(long) and bad["id"] == rows.document_id("s", long)


def test_a_line_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "ENDLESS", 10_000_000)
    data = b'{"text": "before"}\n' + b" " * 30_000_000 + b'\n{"text": "behind"}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(PACK[".gz"](data))
    (tmp_path / "a.jsonl").write_bytes(data)
    assert texts(read(tmp_path / "a.jsonl.gz", "jsonl")) == ["before", "endless"]
    assert texts(read(tmp_path / "a.jsonl", "jsonl", group_bytes=10**9)) == ["before", "too_long", "behind"]


def test_names_are_looked_for_whole_and_then_by_their_dots(tmp_path: Path) -> None:
    more = {"lang": "de", "bad": "\ud800"}
    record = {"id": 7, "a.b": "whole", "meta": {"url": "u", "more": more}, "none": None, "body": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    fields = {"text": "body", "id": "id", "ab": "a.b", "url": "meta.url", "language": "meta.more.lang"}
    fields |= {"bad": "meta.more.bad", "gone": "meta.url.more", "none": "none"}
    (raw,) = read(tmp_path / "a.jsonl", "jsonl", fields=fields)
    assert "meta" in raw and raw["text"] == "x"
    assert rows.facts_of(raw["meta"]) == {"key": 7, "ab": "whole", "url": "u", "language": "de", "bad": "\ufffd"}
    assert raw["id"] == rows.document_id("s", json.dumps(record).encode())


def test_brackets_in_strings_without_an_end_take_no_quadratic_time(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"[" * 300 + b'"' + rb"\"" * 400_000)
    assert reasons(read(tmp_path / "a.jsonl", "jsonl", limit=1_000_000)) == ["not_json"]


def test_the_deepest_line_that_is_read(tmp_path: Path) -> None:
    said = ['{"text": "a", "more": ' + "[" * n + "]" * n + "}" for n in (jsonl.DEEPEST - 1, jsonl.DEEPEST)]
    (tmp_path / "a.jsonl").write_text("\n".join(said))
    assert texts(read(tmp_path / "a.jsonl", "jsonl")) == ["a", "not_json"]


class Pieces:
    """A stream that gives its bytes in pieces of given lengths."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes = data, [*sizes, len(data) + 1]

    def read(self, size: int, /) -> bytes:
        taken = min(self.sizes[0], size)
        self.sizes = self.sizes[1:] or self.sizes
        data, self.data = self.data[:taken], self.data[taken:]
        return data


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"bc"])), st.lists(st.integers(1, 9)), st.integers(0, 6))
def test_lines_are_the_same_wherever_the_stream_is_cut(parts: list[bytes], sizes: list[int], limit: int) -> None:
    data = b"".join(parts)
    found = list(lines.lines("s", Pieces(data, sizes), 0, limit, 10**9))
    bodies = data.split(b"\n")
    if not bodies[-1]:
        bodies.pop()
    whole = [body.removesuffix(b"\r") for body in bodies]
    assert [line.head for line in found] == [body[: limit + 1] for body in whole]
    assert [line.size for line in found] == [len(body) for body in whole]
    assert [line.document for line in found] == [rows.document_id("s", body) for body in whole]
    at = 0
    for line in found:
        assert line.at == at
        at += line.size + len(line.end)
    assert at == len(data)


def test_the_limit_is_of_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": "x" * (LIMIT - 12)}) + "\n" + json.dumps({"text": "x" * LIMIT})
    )
    assert reasons(read(tmp_path / "a.jsonl", "jsonl")) == ["too_long"]
