"""From sources to raw documents: each kind, bad records set aside, ids that follow the content alone."""

import dataclasses
import gzip
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.extract import extract
from pipeline.corpus.files import NO_FILE, OTHER_KIND
from pipeline.corpus.locate import content_digest, groups, listed, name_of, units
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw
from tests.support import corpus

LIMIT = corpus.LONGEST_RECORD


def read(sources: list[Source], group_bytes: int = 50_000) -> dict[str, list[Raw]]:
    by_name = {source.name: source for source in sources}
    found: dict[str, list[Raw]] = {}
    for unit in units(sources, group_bytes):
        found.setdefault(unit.source, []).extend(extract(by_name[unit.source], unit, LIMIT))
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    return [Source.model_validate(s) for s in corpus.write(tmp_path_factory.mktemp("corpus"))]


def test_each_kind_gives_its_documents(sources: list[Source]) -> None:
    found = read(sources)
    count = {name: len(raw) for name, raw in found.items()}
    assert count == {"plays": 48, "chats": 111, "code": 37, "docs": 24, "questions": 168, "notes": 70}
    assert found["plays"][0]["text"].startswith("# Play 0\n\n## ACT 1\n\n### SCENE 1")
    assert "ACT 2" in found["plays"][5]["text"] and "ACT 1" not in found["plays"][5]["text"]
    chat = found["chats"][1]
    assert "meta" in chat and set(rows.facts_of(chat["meta"])) == {"turns", "ratings", "prompt"}
    question = found["questions"][0]
    assert "meta" in question and rows.facts_of(question["meta"])["language"] == "english"
    assert [turn["who"] for turn in rows.turns_of(question["meta"])] == [0, 1]


def test_bad_records_are_set_aside_with_their_reasons(sources: list[Source]) -> None:
    found = read(sources)
    reasons = Counter(raw["reason"] for part in found.values() for raw in part if "reason" in raw)
    assert reasons == {"invalid_utf8": 2, "not_json": 1, "no_text_field": 1, "too_long": 1}
    long = next(raw for raw in found["notes"] if "reason" in raw and raw["reason"] == "too_long")
    assert (
        long["step"] == "read"
        and long["score"] == len('{"text": ""}') + 9 * LIMIT
        and len(long["text"]) == rows.DROPPED_TEXT_CHARACTERS
    )


def test_ids_do_not_change_when_files_are_renamed_or_ranges_are_other(sources: list[Source], tmp_path: Path) -> None:
    before = Counter(raw["id"] for part in read(sources).values() for raw in part)
    moved = []
    for source in sources:
        target = tmp_path / f"moved-{source.name}"
        shutil.copytree(source.path, target)
        for i, path in enumerate(sorted(target.rglob("*"), reverse=True)):
            if path.is_file():
                path.rename(path.with_name(f"z{i:03d}{path.suffix}"))
        moved.append(source.model_copy(update={"path": str(target)}))
    for group_bytes in (700, 50_000):
        assert Counter(raw["id"] for part in read(moved, group_bytes).values() for raw in part) == before
    assert content_digest(moved) == content_digest(sources)


def test_each_line_is_read_once_wherever_the_ranges_fall(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "x" * n}) for n in (0, 5, 300, 1, 64, 2, 2, 900, 3)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines[:4], "", *lines[4:]]))
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    for group_bytes in (1, 7, 16, 100, 10_000):
        found = [raw["text"] for unit in units([source], group_bytes) for raw in extract(source, unit, 5_000)]
        assert found == [json.loads(line)["text"] for line in lines], group_bytes


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_of_just_the_limit_is_kept_wherever_it_stands(tmp_path: Path, end: bytes) -> None:
    record = json.dumps({"text": "x" * (LIMIT - 12)}).encode()
    source = Source(name="s", kind="jsonl", path=str(tmp_path / "a.jsonl"))
    ids = set()
    for before in (b"", b"{}\n"):
        (tmp_path / "a.jsonl").write_bytes(before + record + end)
        last = read([source])["s"][-1]
        assert len(record) == LIMIT and "reason" not in last
        ids.add(last["id"])
        (tmp_path / "a.jsonl").write_bytes(before + record + b" \r " + end)
        last = read([source])["s"][-1]
        assert "reason" in last and (last["reason"], last["score"]) == ("too_long", LIMIT + 3)
    assert len(ids) == 1


def test_a_file_of_just_the_limit_is_kept_and_a_longer_one_has_its_length(tmp_path: Path) -> None:
    for extra in (0, 1, 100):
        (tmp_path / "a.txt").write_bytes(b"x" * (LIMIT + extra))
        (raw,) = read([Source(name="s", kind="text", path=str(tmp_path))])["s"]
        assert raw.get("score", LIMIT) == LIMIT + extra


def test_text_files_by_folder_glob_and_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, text in (("a.txt", "one"), ("in/b.txt", "two"), (".hidden", "three")):
        (tmp_path / name).write_text(text)
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    for path, expected in (
        ("", {"one", "two"}),
        ("*.txt", {"one"}),
        ("**/*.txt", {"one", "two"}),
        (".hidden", {"three"}),
    ):
        source = Source(name="s", kind="text", path=f"{tmp_path}/{path}")
        assert {raw["text"] for raw in read([source])["s"]} == expected


def test_a_missing_or_strange_source_is_an_error_of_the_user(tmp_path: Path) -> None:
    for path in ("nowhere", "*.nothing"):
        with pytest.raises(SourceError, match=r"corpus\.sources\.s\.path"):
            units([Source(name="s", kind="text", path=f"{tmp_path}/{path}")], 1_000)


def test_a_file_that_is_not_what_its_kind_says_is_set_aside_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, 2")
    (tmp_path / "b.json").write_text('{"c": {"messages": [[{"text": "one", "sender": "x"}]]}}')
    bad, good = read([Source(name="s", kind="chats", path=str(tmp_path))])["s"]
    assert "reason" in bad and (bad["reason"], bad.get("where")) == ("not_chats", f"{tmp_path}/a.json, byte 0")
    assert "reason" not in good


def test_the_language_of_questions_is_part_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "english").mkdir()
    (tmp_path / "english" / "a.yml").write_text("conversations:\n- - who?\n  - me\n")
    source = Source(name="q", kind="questions", path=str(tmp_path))
    before, ids = content_digest([source]), [raw["id"] for raw in read([source])["q"]]
    (tmp_path / "english" / "a.yml").rename(tmp_path / "english" / "b.yml")
    assert content_digest([source]) == before
    (tmp_path / "english").rename(tmp_path / "german")
    (raw,) = read([source])["q"]
    assert "meta" in raw and rows.facts_of(raw["meta"])["language"] == "german"
    assert content_digest([source]) != before and [raw["id"]] == ids


UNREADABLE = r"corpus\.sources\.s\.path .* cannot be read: .*Mend it"


def test_a_link_to_nothing_and_a_pipe_are_passed_over_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "c.txt")
    for path in (tmp_path, tmp_path / "*.txt"):
        over: Counter[str] = Counter()
        assert [Path(file.path).name for file in listed(Source(name="s", kind="text", path=str(path)), over)] == [
            "a.txt"
        ]
        assert +over == {NO_FILE: 2}
    for alone in ("b.txt", "c.txt"):
        with pytest.raises(SourceError, match="1 pipes, devices and links to nothing were passed over"):
            listed(Source(name="s", kind="text", path=str(tmp_path / alone)))


NAMES = (
    "a.html B.HTML c.HTM d.xhtml e.jsonl f.JSONL.GZ g.json h.jsonl.xz i.ndjson j.json.gz k.warc l.arc.gz m.warc.wet.gz "
    "n.pq o.csv p.tsv q.rst R.TXT s.text.bz2 notes notes.gz t.md t.2024 .u"
)


@pytest.mark.parametrize(
    ("kind", "more", "wanted"),
    [
        ("html", {}, "B.HTML a.html c.HTM d.xhtml"),
        ("jsonl", {}, "e.jsonl f.JSONL.GZ i.ndjson j.json.gz"),
        ("warc", {}, "k.warc m.warc.wet.gz"),
        ("parquet", {}, "n.pq"),
        ("csv", {}, "o.csv"),
        ("csv", {"delimiter": "\t"}, "o.csv p.tsv"),
        ("text", {}, "R.TXT notes notes.gz q.rst s.text.bz2"),
        ("markdown", {}, "t.md"),
    ],
)
def test_a_folder_gives_the_files_of_its_kind_and_counts_the_others(
    tmp_path: Path, kind: str, more: dict[str, str], wanted: str
) -> None:
    names = NAMES.split()
    for name in names:
        (tmp_path / name).write_text("x")
    over: Counter[str] = Counter()
    found = listed(Source.model_validate({"name": "s", "kind": kind, "path": str(tmp_path), **more}), over)
    assert [Path(file.path).name for file in found] == wanted.split()
    assert over == {OTHER_KIND: len(names) - len(found) - 1}  # the hidden one is no text of anybody
    whole = Source.model_validate({"name": "s", "kind": kind, "path": f"{tmp_path}/*", **more})
    assert len(listed(whole)) == len(names) - 1  # a glob is taken at its word


def test_a_suffix_in_capitals_says_that_a_file_is_compressed(tmp_path: Path) -> None:
    (tmp_path / "A.JSONL.GZ").write_bytes(gzip.compress(b'{"text": "one"}'))
    (raw,) = read([Source(name="s", kind="jsonl", path=str(tmp_path))])["s"]
    assert raw["text"] == "one"


def test_of_a_package_nothing_is_said_to_be_passed_over() -> None:
    over: Counter[str] = Counter()
    assert listed(Source(name="s", kind="code"), over) and not over


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # a path that is longer than the system takes: not even root can list its end
        os.mkdir("d" * 250, dir_fd=deep)
        above, deep = deep, os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(above)
    os.close(deep)
    with pytest.raises(SourceError, match=UNREADABLE) as caught:
        units([Source(name="s", kind="text", path=str(tmp_path))], 1_000)
    assert str(caught.value.value).endswith("d" * 250)


@pytest.mark.parametrize("in_its_place", ["nothing", "a folder"])
def test_a_file_that_went_away_before_it_was_read_is_an_error_of_the_user(tmp_path: Path, in_its_place: str) -> None:
    (tmp_path / "a.txt").write_text("one")
    source = Source(name="s", kind="text", path=str(tmp_path))
    (unit,) = units([source], 1_000)
    (tmp_path / "a.txt").unlink()
    if in_its_place == "a folder":
        (tmp_path / "a.txt").mkdir()
    with pytest.raises(SourceError, match=UNREADABLE):
        list(extract(source, unit, LIMIT))


def test_a_file_that_became_shorter_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n' * 9)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    (unit,) = units([source], 1_000)
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    with pytest.raises(SourceError, match="became shorter"):
        list(extract(source, unit, LIMIT))


def test_a_relative_path_begins_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    assert units([Source(name="s", kind="text", path="a.txt")], 1_000)[0].path == str(tmp_path / "a.txt")
    with pytest.raises(SourceError, match=f"current folder, {tmp_path}"):
        units([Source(name="s", kind="text", path="nowhere")], 1_000)


def test_scratch_has_another_name_when_a_file_changes(sources: list[Source]) -> None:
    made = groups(units(sources, 20_000), 20_000)
    names = [name_of(group) for group in made]
    assert len(set(names)) == len(names) > 5
    changed = [dataclasses.replace(unit, changed="later") for unit in made[0]]
    assert name_of(changed) != names[0]
