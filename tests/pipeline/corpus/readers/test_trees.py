"""Files of many records: bytes that are not UTF-8 cost the record, and the file only where nothing is left."""

import json
from pathlib import Path

import pytest

from pipeline import rows
from pipeline.corpus.records import Raw
from tests.pipeline.corpus.readers.support import read, reasons

NAMES = {"chats": "a.json", "questions": "english/a.yml", "docs": "a.py", "plays": "a.md"}
CHAT = '{"messages": [[{"text": "%s", "sender": "anna"}], [{"text": "yes", "sender": "boris"}]]}'
FILES = {
    "chats": f'{{"a": {CHAT % "one"}, "b": {CHAT % "BAD"}, "c": {CHAT % "three"}}}'.encode(),
    "questions": b"conversations:\n- - one\n  - yes\n- - two BAD\n  - no\n- - three\n",
    "docs": b'topics = {"a": "one", "b": "two BAD", "c": "three"}\n',
    "plays": b"# Play\n\n## ACT 1\n\none\n\n## ACT 2\n\ntwo BAD\n\n## ACT 3\n\nthree\n",
}


def records(folder: Path, kind: str, data: bytes) -> list[Raw]:
    path = folder / NAMES[kind]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return read(path, kind, limit=10_000)


@pytest.mark.parametrize("kind", FILES)
def test_one_bad_record_is_set_aside_and_the_others_stay(tmp_path: Path, kind: str) -> None:
    whole = records(tmp_path, kind, FILES[kind])
    bad = records(tmp_path, kind, FILES[kind].replace(b"BAD", "\ue000é".encode() + b"\xff\xe9"))
    assert reasons(whole) == [] and reasons(bad) == ["invalid_utf8"]
    assert [bad[0], bad[2]] == [whole[0], whole[2]]
    left = bad[1]
    assert "reason" in left and left["step"] == "read" and "\ue000é\ufffd" in left["text"] and left["score"] > 0
    assert left.get("where", "").endswith(f"{NAMES[kind]}, row 1")


@pytest.mark.parametrize("kind", ["chats", "questions"])
def test_the_id_of_a_bad_record_follows_from_the_record(tmp_path: Path, kind: str) -> None:
    alone = records(tmp_path, kind, FILES[kind].replace(b"BAD", b"\xff"))[1]
    beside = records(tmp_path, kind, FILES[kind].replace(b"BAD", b"\xff").replace(b"three", "\ue000".encode()))[1]
    assert alone == beside


@pytest.mark.parametrize("kind", ["chats", "questions", "docs"])
def test_a_file_that_bad_bytes_have_broken_is_one_record(tmp_path: Path, kind: str) -> None:
    data = FILES[kind][:20] + b'\xff"]{\n\t\xfe' + FILES[kind][20:]
    (raw,) = records(tmp_path, kind, data)
    assert "reason" in raw and (raw["reason"], raw["step"]) == ("invalid_utf8", "read")
    assert raw["id"] == rows.document_id("s", data) and raw["score"] == 20


DEEP = {
    "chats": b'{"a": ' + b"[" * 100_000,
    "questions": b"conversations: " + b"[" * 100_000 + b"]" * 100_000,
    "docs": b"topics = {1: " + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
STRANGE = {
    "alias": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"a%d: &a%d [*a%s]\n" % (i, i, b", *a".join([str(i - 1).encode() if i else b""] * 9)) for i in range(9))
    + b"conversations: [*a8]\n",
    "itself": b"conversations: &a [*a]\n",
    "minus": b"topics = {1: " + b"-" * 200_000 + b"1}\n",
}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        *((kind, b"[1, 2") for kind in DEEP),
        *DEEP.items(),
        ("questions", STRANGE["alias"]),
        ("questions", STRANGE["itself"]),
        ("docs", STRANGE["minus"]),
    ],
)
def test_a_file_that_is_no_tree_or_a_monstrous_one_is_one_record(tmp_path: Path, kind: str, data: bytes) -> None:
    (raw,) = records(tmp_path, kind, data)
    assert "reason" in raw and raw["reason"] == f"not_{kind}" and raw["id"] == rows.document_id("s", data)


def test_a_chat_without_words_is_no_text(tmp_path: Path) -> None:
    (raw,) = records(tmp_path, "chats", json.dumps({"a": {"messages": []}}).encode())
    assert "reason" not in raw and raw["text"] == ""


def test_a_chat_that_is_too_long_costs_itself(tmp_path: Path) -> None:
    data = FILES["chats"].replace(b"BAD", b"x" * 10_000)
    assert reasons(records(tmp_path, "chats", data)) == ["too_long"]
