"""Readers: each kind, bad records set aside, ids that follow the content alone."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.config import Source
from pipeline.corpus.extract import Raw, extract
from pipeline.corpus.locate import content_digest, groups, name_of, units
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
    assert long["step"] == "read" and long["score"] > LIMIT and len(long["text"]) == rows.DROPPED_TEXT_CHARACTERS


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
    (tmp_path / "chats.json").write_text("[1, 2")
    with pytest.raises(SourceError, match="not a file of kind chats"):
        read([Source(name="s", kind="chats", path=str(tmp_path / "chats.json"))])


def test_scratch_has_another_name_when_a_file_changes(sources: list[Source]) -> None:
    made = groups(units(sources, 20_000), 20_000)
    names = [name_of(group) for group in made]
    assert len(set(names)) == len(names) > 5
    changed = [unit.__class__(**{**unit.plain(), "changed": unit.changed + 1}) for unit in made[0]]  # type: ignore[arg-type]
    assert name_of(changed) != names[0]
