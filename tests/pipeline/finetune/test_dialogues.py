"""Conversations become turns of a user and an assistant."""

from pathlib import Path

from models.chat import Turn
from pipeline.finetune.dialogues import parse, read
from pipeline.stage import StageFolder
from tests.pipeline.finetune import tiny


def said(*pairs: tuple[int, str]) -> dict[str, object]:
    return {"turns": [{"who": who, "text": text} for who, text in pairs]}


def test_who_speaks_first_is_the_user_and_turns_alternate() -> None:
    (found,) = parse("a", "chats", said((1, "hi"), (1, "anyone here"), (0, "hey"), (0, " "), (1, "bye")))
    assert found.turns == (Turn("user", "hi\nanyone here"), Turn("assistant", "hey"), Turn("user", "bye"))
    assert found.answered == found.turns[:2]


def test_a_chat_without_an_answer_is_none() -> None:
    assert parse("a", "chats", said((0, "hi"), (0, "hello?"))) == []


def test_each_answer_of_a_question_is_a_dialogue() -> None:
    meta = {**said((0, "what is it?"), (1, "a ship."), (1, "a book.")), "language": "english"}
    found = parse("a", "questions", meta)
    assert [d.turns[1].text for d in found] == ["a ship.", "a book."]
    assert [d.id for d in found] == ["a/000", "a/001"]


def test_ratings_by_name_or_by_rater() -> None:
    plain = {**said((0, "hi"), (1, "hey")), "ratings": {"witty": 3, "upbeat": 4}}
    assert parse("a", "chats", plain)[0].ratings == (("upbeat", 4.0), ("witty", 3.0))
    two = {**said((0, "hi"), (1, "hey")), "ratings": {"0": {"witty": 3}, "1": {"witty": 6}}}
    assert parse("a", "chats", two)[0].ratings == (("witty", 4.5),)


def test_reading_counts_what_it_passes_over(tmp_path: Path) -> None:
    run = str(tmp_path)
    tiny.write_inputs(run)
    folder = StageFolder.open(run, "corpus")
    english, passed = read(folder, "kept", ("chats", "questions"), ("english",))
    assert passed["language"] > 0 and passed["no answer"] > 0
    assert [d.id for d in english] == sorted(d.id for d in english)
    everything, _ = read(folder, "kept", ("chats", "questions"))
    assert len(everything) == len(english) + 2 * passed["language"]
    assert {d.source for d in read(folder, "kept", ("chats",))[0]} == {"chats"}
