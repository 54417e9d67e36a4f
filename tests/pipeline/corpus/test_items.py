"""Evaluation items: parts of held-out text, with shots of other documents."""

from collections import Counter

import pytest

from pipeline import rows
from pipeline.corpus import items
from pipeline.corpus.config import ItemsConfig
from pipeline.rows import Row
from tests.support.corpus import Writer

CONFIG = ItemsConfig(per_kind=60, shots=8, min_words=30, max_words=40, answer_words=8, common_words=20)


def unknown(text: str) -> bool:
    return False


@pytest.fixture(scope="module")
def held() -> dict[str, Row]:
    say = Writer("items")
    made = [
        Row(id=rows.document_id(source, str(i).encode()), source=source, text=say.text(40), meta="")
        for source in ("chats", "plays")
        for i in range(12)
    ]
    return {row["id"]: row for row in made}


@pytest.fixture(scope="module")
def made(held: dict[str, Row]) -> dict[str, list[items.Item]]:
    return items.make(list(held.values()), CONFIG, unknown)


def test_there_are_enough_of_each_kind_spread_over_sources(made: dict[str, list[items.Item]]) -> None:
    assert len(made["choice"]) == 60 and len(made["cloze"]) >= 55
    assert Counter(item["kind"] for item in made["shots"]) == {"choice": 8, "cloze": 7}  # the text has no more
    for kind in ("choice", "cloze"):
        assert min(Counter(item["source"] for item in made[kind]).values()) >= 25
        assert [item["id"] for item in made[kind]] == sorted({item["id"] for item in made[kind]})


def test_a_right_answer_continues_its_document(held: dict[str, Row], made: dict[str, list[items.Item]]) -> None:
    for item in [*made["choice"], *made["cloze"], *made["shots"]]:
        answer = item["choices"][item["answer"]] if item["kind"] == "choice" else item["answer"]
        row = held[item["document"]]
        assert item["context"] + answer in row["text"] and row["source"] == item["source"]
        assert CONFIG.min_words <= len(item["context"].split()) <= CONFIG.max_words
        assert answer[0].isspace() and not item["context"][-1].isspace()


def test_choices_are_four_of_similar_length_from_other_documents(
    held: dict[str, Row], made: dict[str, list[items.Item]]
) -> None:
    places = Counter(item["answer"] for item in made["choice"])
    assert set(places) == {0, 1, 2, 3} and max(places.values()) < 30
    for item in made["choice"]:
        assert len(set(item["choices"])) == 4
        right = item["choices"][item["answer"]]
        for wrong in item["choices"]:
            assert wrong == right or wrong.strip() not in held[item["document"]]["text"]
            assert 0.6 < len(wrong) / len(right) < 1.7


def test_a_cloze_answer_stands_earlier_and_is_not_always_the_same(made: dict[str, list[items.Item]]) -> None:
    for item in made["cloze"]:
        assert item["answer"].strip() in item["context"] and item["answer"].strip().isalpha()
    assert max(Counter(item["answer"] for item in made["cloze"]).values()) <= CONFIG.answers_a_word


def test_shots_are_of_documents_that_no_item_has(made: dict[str, list[items.Item]]) -> None:
    asked = {item["document"] for kind in ("choice", "cloze") for item in made[kind]}
    assert not asked & {item["document"] for item in made["shots"]}


def test_order_does_not_matter_and_little_text_gives_few(
    held: dict[str, Row], made: dict[str, list[items.Item]]
) -> None:
    assert items.make(list(reversed(held.values())), CONFIG, unknown) == made
    assert items.make([], CONFIG, unknown) == {"choice": [], "cloze": [], "shots": []}
    alone = items.make(list(held.values())[:1], CONFIG, unknown)
    assert alone["choice"] == []


def test_what_the_training_text_holds_is_not_asked(held: dict[str, Row], made: dict[str, list[items.Item]]) -> None:
    known = items.passage(made["choice"][0])
    again = items.make(list(held.values()), CONFIG, lambda text: text == known)
    assert known not in {items.passage(item) for item in again["choice"]} and len(again["choice"]) == 60
