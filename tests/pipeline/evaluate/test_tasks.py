"""Items and requests: order, shots, truncation."""

import pytest

from pipeline.evaluate.tasks import SEPARATOR, Item, choose_shots, fit, make_request, of_kind


class Letters:
    """A tokenizer with one token a character."""

    end_id = 1

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text]


def item(name: str, context: str = "ab", words: tuple[str, ...] = (" c", " dd"), document: str = "") -> Item:
    return Item(name, "choice", "plays", context, words, 1, document or f"doc-{name}")


def test_items_come_in_order_of_id_and_of_one_kind() -> None:
    choice = {"kind": "choice", "source": "s", "context": "x", "choices": [" a", " b"], "answer": 1, "document": "d"}
    cloze = {"kind": "cloze", "source": "s", "context": "x", "answer": " w", "document": "d"}
    rows = [{**choice, "id": "2"}, {**cloze, "id": "1"}, {**choice, "id": "0"}]
    assert [i.id for i in of_kind(rows, "choice")] == ["0", "2"]
    assert [i.id for i in of_kind(rows, "choice", 1)] == ["0"]
    (word,) = of_kind(rows, "cloze")
    assert (word.continuations, word.answer, word.solved(5)) == ((" w",), 0, "x w")


def test_shots_are_a_draw_of_the_item_and_never_from_its_document() -> None:
    pool = [item(str(i), document=f"d{i % 5}") for i in range(16)]
    asked = item("q", document="d3")
    first = choose_shots(asked, pool, 2, seed=1)
    assert first == choose_shots(asked, pool[::-1], 2, seed=1)
    assert all(s.document != "d3" for s in choose_shots(asked, pool, 16, seed=1))
    draws = {tuple(s.id for s in choose_shots(item(f"q{i}"), pool, 2, seed=1)) for i in range(20)}
    assert len(draws) > 10


def test_a_context_is_cut_on_the_left_and_a_continuation_never() -> None:
    # The last continuation token is not read: 6 + 3 - 1 tokens fit a window of 8.
    assert fit([1, 2, 3, 4, 5, 6], [[7, 8, 9]], 8) == ([1, 2, 3, 4, 5, 6], 0)
    assert fit([1, 2, 3, 4, 5, 6], [[7], [7, 8, 9]], 5) == ([4, 5, 6], 3)
    with pytest.raises(ValueError, match="longer than the window of 2"):
        fit([1], [[7, 8, 9]], 2)


def test_examples_stand_before_the_question() -> None:
    shots = [item("s1", "the first").solved(1), item("s2", "a second").solved(1)]
    request = make_request(item("q", "question"), shots, Letters(), 100)
    whole = "first dd" + SEPARATOR + "second dd" + SEPARATOR + "question"
    assert (request.context, request.shots, request.cut) == ([1, *map(ord, whole)], 2, 0)


def test_examples_and_context_give_way_on_the_left_and_always_fit() -> None:
    asked = item("q", "x" * 40 + "end")
    request = make_request(asked, ["a" * 30 + "12", "b" * 30 + "34"], Letters(), 64)
    # Each example has 64 / 4 tokens, with the separator; 1 + 2 x 16 + 29 + 2 = 64 tokens are read.
    before = "a" * 12 + "12" + SEPARATOR + "b" * 12 + "34" + SEPARATOR
    assert request.context == [1, *map(ord, before + "x" * 26 + "end")]
    assert (request.shots, request.cut) == (2, 14)


def test_without_room_for_the_question_there_are_no_examples() -> None:
    asked = item("q", "question", words=(" c", "d" * 24))
    request = make_request(asked, ["a" * 30, "b" * 30], Letters(), 60)  # 60 - 31 - 23 = 6 tokens would be left
    assert (request.context, request.shots, request.cut) == ([1, *map(ord, "question")], 0, 0)
    request = make_request(item("q", "question"), ["a", "b"], Letters(), 6)
    assert (request.context, request.shots, request.cut) == ([*map(ord, "tion")], 0, 5)


def test_an_example_shows_the_end_of_its_context() -> None:
    long = item("s", "one  two\nthree four")
    assert [long.solved(n) for n in (1, 2, 9)] == ["four dd", "three four dd", "one  two\nthree four dd"]
