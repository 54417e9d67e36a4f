"""Decontamination over pieces: the same result for any number of them, in both modes, with its table."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from cluster.data import Task
from pipeline import rows
from pipeline.config import RunConfig
from pipeline.corpus import documents, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.leaks import contamination
from pipeline.corpus.leaks.plan import decontaminate
from pipeline.rows import Row
from pipeline.stage import StageFolder
from tests.support.context import Heard, context
from tests.support.corpus import LICENCE, Writer

QUESTIONS = [
    "Which gas do green plants take from the air?",
    "Why does a metal spoon feel colder than a wooden spoon that has lain in the same drawer all night long?",
    "What is it?",
    "a bird in the hand is worth two in the bush",
    "Who wrote this? " + " ".join(LICENCE.split()[:40]) + " And why did they do so?",
]


def row(text: str, source: str = "web", **facts: Any) -> Row:
    return Row(id=rows.document_id(source, text.encode()), source=source, text=text, meta=rows.pack_meta(**facts))


def texts() -> tuple[list[Row], list[Row]]:
    """Training and held-out documents."""
    say = Writer("plan")
    held = [row(say.text(30)) for _ in range(4)] + [row(f"{LICENCE}\n{say.text(20)}")]
    plain = [row(say.text(30)) for _ in range(40)]
    licensed = [row(f"{LICENCE}\n{say.text(20)}", "code") for _ in range(9)]
    passage = " ".join(held[0]["text"].split()[40:70])
    leaking = [
        row(f"{say.text(9)} {passage.upper()}. {say.text(9)}"),
        row(f"{say.text(9)} {QUESTIONS[0]} {say.text(9)}"),
        row(f"{say.text(9)} {QUESTIONS[1].replace(' ', chr(10))} {say.text(9)}"),
        row(f"{say.text(9)} {QUESTIONS[0]} {say.text(9)}", "chats", turns=[{"who": 0, "text": "never cut"}]),
        row(held[1]["text"] + " again"),
    ]
    sayings = [row(f"{say.text(9)} {QUESTIONS[3]}, {say.text(20)}", "sayings") for _ in range(9)]
    return plain + licensed + sayings + leaking, held


Made = tuple[StageFolder, CorpusConfig, Heard, Callable[[str], bool]]


def make(folder: Path, pieces: int, **changes: Any) -> Made:
    path = folder / "quiz.jsonl"
    path.write_text("".join(json.dumps({"question": q}) + "\n" for q in QUESTIONS))
    config = CorpusConfig.model_validate(
        {
            "pieces": pieces,
            "dedup": {"enabled": False},
            "substring": {"enabled": False},
            "decontaminate": {"against": [str(path)], **changes},
        }
    )
    ctx, heard = context(
        str(folder / f"run-{pieces}-{changes}"), "corpus", cast(RunConfig, SimpleNamespace(corpus=config))
    )
    training, held = texts()
    for n in range(pieces):
        for name, some in (("heldout", held), (documents.DOCS, training)):
            own = [r for r in some if rows.piece_of(r["id"], pieces) == n]
            ctx.folder.write_table(rows.piece(name, n), tables.by_id(tables.documents(own)))
        for step in ("exact_dup", "split"):
            documents.write_fates(ctx.folder, config, step, n, documents.FATES.empty_table())

    def run(label: str, work: Callable[..., int], tasks: list[Task], unit: str) -> None:
        for task in reversed(tasks):
            work(ctx.folder, config, task.name, **task.arguments)
            assert ctx.folder.done(task.name)

    known = decontaminate(ctx, run, config)
    assert ctx.counts["decontamination_loss"].keys() == {"chats", "code", "sayings", "web"}
    return ctx.folder, config, heard, known


def left(made: Made) -> list[dict[str, Any]]:
    folder, config, _, _ = made
    found: list[pa.Table] = [documents.load(folder, config, n, "kept").table for n in range(config.pieces)]
    return [r for table in found for r in table.to_pylist()]


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("drop"), 3)


def test_leaks_are_dropped_with_their_partners(dropped: Made) -> None:
    folder, config, heard, _ = dropped
    training, held = texts()
    assert {r["id"] for r in left(dropped)} == {r["id"] for r in training[:-14]}
    fates = [f for n in range(3) for f in documents.fates(folder, config, "decontaminate", n).to_pylist()]
    assert sorted((f["reason"], f["partner"]) for f in fates) == sorted(
        [
            ("holds_benchmark_item", "quiz:1"),
            ("holds_benchmark_item", "quiz:1"),
            ("holds_benchmark_item", "quiz:2"),
            *[("holds_benchmark_item", "quiz:4")] * 9,
            ("holds_heldout_text", held[0]["id"]),
            ("holds_heldout_text", held[1]["id"]),
        ]
    )
    assert heard.events == [
        {"kind": "benchmark_left", "benchmark": "quiz", "left": 1, "items": 5, "boilerplate": 2},
        {"kind": "source_lost", "step": "decontaminate", "source": "chats", "share": 1.0},
        {"kind": "source_lost", "step": "decontaminate", "source": "sayings", "share": 1.0},
    ]


def test_the_number_of_pieces_does_not_show(dropped: Made, tmp_path: Path) -> None:
    other = make(tmp_path, 7)
    assert left(other) == left(dropped)
    assert other[0].read_json("contamination.json") == dropped[0].read_json("contamination.json")


def test_the_table_says_what_was_found_and_what_is_left(dropped: Made) -> None:
    found = dropped[0].read_json("contamination.json")
    none = {"items": 0, "too_short": 0, "boilerplate": 0, "found": 0, "left": 0, "dropped": 0, "cut": 0}
    assert found == {
        "quiz": {**none, "items": 5, "too_short": 1, "boilerplate": 2, "found": 4, "left": 1, "dropped": 12},
        "held-out documents": {**none, "items": 5, "boilerplate": 1, "found": 2, "dropped": 2},
    }
    table = contamination.table(found)
    assert table.rows[1] == ["quiz", 5, 1, 2, 4, 1, 12, 0]


def test_what_still_stands_is_known(dropped: Made) -> None:
    known = dropped[3]
    _, held = texts()
    assert known(LICENCE)
    assert not any(known(" ".join(r["text"].split()[-60:])) for r in held)


def test_cutting_keeps_the_rest_of_a_document(tmp_path: Path) -> None:
    made = make(tmp_path, 3, mode="cut")
    kept = {r["id"]: r["text"] for r in left(made)}
    training, _ = texts()
    leaking = training[-5:]
    assert all(kept[r["id"]] == r["text"] for r in training[:-14])
    assert not any(QUESTIONS[3] in text for text in kept.values()) and len(kept) == len(training) - 1
    for i in (0, 1, 2):
        whole = leaking[i]["text"]
        assert 0.6 * len(whole) < len(kept[leaking[i]["id"]]) < len(whole) - 40
    assert leaking[3]["id"] not in kept, "a conversation with a hole is none"
    assert QUESTIONS[0] not in kept[leaking[1]["id"]]
    assert kept[leaking[1]["id"]] == leaking[1]["text"].replace(QUESTIONS[0] + " ", "")
    found = made[0].read_json("contamination.json")
    assert found["quiz"]["found"] == 4 and found["quiz"]["left"] == 1
    assert (found["quiz"]["dropped"], found["quiz"]["cut"]) == (1, 11)
