"""Bytes that are not UTF-8 in files of many records: they cost the record, and the file only where nothing is left."""

import json
from pathlib import Path

import pytest

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.config import Kind, Source
from pipeline.corpus.records import Raw
from pipeline.corpus.trees import BROKEN, tree

CHAT = '{"messages": [[{"text": "%s", "sender": "anna"}], [{"text": "yes", "sender": "boris"}]]}'
FILES: dict[Kind, bytes] = {
    "chats": f'{{"a": {CHAT % "one"}, "b": {CHAT % "BAD"}, "c": {CHAT % "three"}}}'.encode(),
    "questions": b"conversations:\n- - one\n  - yes\n- - two BAD\n  - no\n- - three\n",
    "docs": b'topics = {"a": "one", "b": "two BAD", "c": "three"}\n',
    "plays": b"# Play\n\n## ACT 1\n\none\n\n## ACT 2\n\ntwo BAD\n\n## ACT 3\n\nthree\n",
}


def read(kind: Kind, data: bytes) -> list[Raw]:
    return list(tree(Source(name="s", kind=kind), "/in/english/file", data, 10_000))


@pytest.mark.parametrize("kind", FILES)
def test_one_bad_record_is_set_aside_and_the_others_stay(kind: Kind) -> None:
    whole, bad = read(kind, FILES[kind]), read(kind, FILES[kind].replace(b"BAD", "\ue000é".encode() + b"\xff\xe9"))
    assert [raw.get("reason") for raw in bad] == [None, "invalid_utf8", None]
    assert [bad[0], bad[2]] == [whole[0], whole[2]]
    left = bad[1]
    assert "reason" in left and left["step"] == "read" and "\ue000é\ufffd" in left["text"] and left["score"] > 0


@pytest.mark.parametrize("kind", ["chats", "questions"])
def test_the_id_of_a_bad_record_follows_from_the_record(kind: Kind) -> None:
    alone = read(kind, FILES[kind].replace(b"BAD", b"\xff"))[1]
    beside = read(kind, FILES[kind].replace(b"BAD", b"\xff").replace(b"three", "\ue000".encode()))[1]
    assert alone == beside


@pytest.mark.parametrize("kind", ["chats", "questions", "docs"])
def test_a_file_that_bad_bytes_have_broken_is_one_record(kind: Kind) -> None:
    data = FILES[kind][:20] + b'\xff"]{\n\t\xfe' + FILES[kind][20:]
    (raw,) = read(kind, data)
    assert "reason" in raw and (raw["reason"], raw["step"]) == ("invalid_utf8", "read")
    assert raw["id"] == rows.document_id("s", data) and raw["score"] == 20


@pytest.mark.parametrize("kind", ["chats", "questions", "docs"])
def test_a_file_that_is_no_tree_is_still_an_error(kind: Kind) -> None:
    with pytest.raises(BROKEN):
        read(kind, b"[1, 2")


def test_chats_nested_too_deep_are_an_error_of_the_user(tmp_path: Path) -> None:
    from pipeline.corpus.extract import extract
    from pipeline.corpus.locate import units

    (tmp_path / "a.json").write_text('{"a": ' + "[" * 100_000)
    source = Source(name="s", kind="chats", path=str(tmp_path))
    with pytest.raises(SourceError, match="not a file of kind chats"):
        list(extract(source, units([source], 1_000)[0], 1_000))


def test_a_chat_without_words_is_no_text() -> None:
    (raw,) = read("chats", json.dumps({"a": {"messages": []}}).encode())
    assert "reason" not in raw and raw["text"] == ""
