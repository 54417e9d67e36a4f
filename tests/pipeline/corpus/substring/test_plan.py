"""The whole step against its definition, and against a suffix array."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import documents
from tests.pipeline.corpus.substring.corpus import Step, naive, suffix_array

LENGTH = 16
PASSAGES = [
    "the quick brown fox jumps",
    "over the lazy dog, ",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "ababab" * 6,
    "0123456789" * 4,
]
PASSAGE = st.sampled_from([*PASSAGES, "x", "é\n", "界隈", "and again "]) | st.text("ab", max_size=9)
TEXTS = st.lists(st.lists(PASSAGE, max_size=9).map("".join), max_size=7, unique=True)


def marks(step: Step) -> list[list[bool]]:
    """Of each byte of each document: whether it was cut; not one may be cut twice."""
    found, cuts = [], step.cuts()
    for row in step.rows:
        gone = [False] * len(row["text"].encode())
        for start, end, _ in cuts[row["id"]]:
            assert start < end and not any(gone[start:end])
            gone[start:end] = [True] * (end - start)
        found.append(gone)
    return found


@settings(max_examples=100, deadline=None)
@given(texts=TEXTS, pieces=st.integers(1, 3), length=st.integers(LENGTH, 40))
def test_byte_by_byte_as_the_definition_says(texts: list[str], pieces: int, length: int) -> None:
    step = Step([text.encode().hex() for text in texts], pieces, length=length, min_left=0)  # all of it ASCII
    assert marks(step) == naive([row["text"].encode() for row in step.rows], length)
    snapped = Step(texts, pieces, length=length, min_left=0)
    for row, cut, gone in zip(snapped.rows, marks(snapped), _naive(snapped, length), strict=True):
        assert cut == _whole_characters(row["text"], gone)


def _naive(step: Step, length: int) -> list[list[bool]]:
    return naive([row["text"].encode() for row in step.rows], length)


def _whole_characters(text: str, gone: list[bool]) -> list[bool]:
    """Only characters all of whose bytes go, go: a range is at least as long as a character."""
    found, at = [], 0
    for character in text:
        size = len(character.encode())
        found += [all(gone[at : at + size])] * size
        at += size
    return found


def prose(seed: int, documents: int) -> list[str]:
    """Documents of random words with boilerplate, copied passages, periods, and changed letters among them."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(400)]
    notice = " ".join(draw.choices(words, k=120))
    made: list[str] = []
    for _ in range(documents):
        text = " ".join(draw.choices(words, k=draw.randint(5, 400)))
        for _ in range(draw.randint(0, 4)):
            from_, at = draw.choice(made) if made else notice, draw.randint(0, len(text))
            start = draw.randint(0, len(from_))
            text = text[:at] + from_[start : start + draw.randint(20, 900)] + text[at:]
        if draw.random() < 0.4:
            at = draw.randint(0, len(notice) - 1)
            text += notice[:at] + draw.choice("xyz") + notice[at + 1 :]
        if draw.random() < 0.2:
            text += draw.choice(["-", "=-", ". ", "|        |"]) * draw.randint(50, 400)
        made.append(text)
    return made


@pytest.mark.parametrize("length", [16, 33, 100, 200])
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_larger_corpus_as_a_suffix_array_says(length: int, pieces: int) -> None:
    step = Step(prose(length, 150), pieces, length=length, min_left=0)
    expected = suffix_array([row["text"].encode() for row in step.rows], length)
    found = marks(step)
    assert found == expected
    assert 0.1 < sum(map(sum, found)) / sum(map(len, found)) < 0.9
    assert step.counts["s"]["cut_bytes"] == sum(map(sum, found))


def test_the_oracles_agree() -> None:
    texts = [text.encode() for text in prose(1, 20)]
    for length in (16, 50):
        assert suffix_array(texts, length) == naive(texts, length)


def test_the_partner_is_where_it_stands_first() -> None:
    passage = "It was the best of times, it was the worst of times, it was the age of wisdom. "
    step = Step([f"{i}-{i} {passage}{i * 7}" for i in range(9)], 3, length=40, min_left=0)
    assert [row for row in step.rows if not step.cuts()[row["id"]]] == step.rows[:1]
    assert {partner for cuts in step.cuts().values() for _, _, partner in cuts} == {step.rows[0]["id"]}


def test_pieces_do_not_show() -> None:
    texts = prose(3, 80)
    one, many = Step(texts, 1, length=50), Step(texts, 5, length=50)
    assert [[c[:2] for c in cuts] for cuts in one.cuts().values()] == [
        [c[:2] for c in cuts] for cuts in many.cuts().values()
    ]
    assert one.counts == many.counts and one.fates()["reason"] == many.fates()["reason"]


@pytest.mark.parametrize("most", [1, 4, 9, 13])
def test_a_killed_step_goes_on_where_it_was(most: int) -> None:
    calm = Step(prose(4, 30), 2, length=50)
    killed = Step(prose(4, 30), 2, most, length=50)
    assert killed.worked == most
    killed.run()
    assert (killed.worked, killed.counts) == (calm.worked, calm.counts) and killed.cuts() == calm.cuts()
    killed.run(0)  # nothing is to be done again, though the scratch is gone
    assert killed.counts == calm.counts
    assert not [name for name in killed.folder.storage.held if "asked" in name or "segments" in name]


def test_of_what_is_cut_short_nothing_is_left() -> None:
    passage = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software. "
    long = [" ".join(map(str, range(i, i + 20))) for i in (100, 200, 300)]
    step = Step([*[text + passage for text in long], f"9 {passage}", "short", passage], 2, length=50, min_left=30)
    first = next(row for row in step.rows if passage in row["text"])["id"]
    lost = [row for row in step.rows if len(row["text"]) < 100 and row["id"] != first and row["text"] != "short"]
    assert lost
    fates = step.fates().to_pylist()
    assert [(f["reason"], f["partner"], f["score"] > 0.9) for f in fates] == [("repeated", first, True)] * len(lost)
    left = [
        i
        for n in range(2)
        for i in documents.load(step.folder, step.config, n, "decontaminate").table["id"].to_pylist()
    ]
    assert left == [row["id"] for row in step.rows if row not in lost]
    assert all(not step.cuts()[row["id"]] for row in lost)
    assert step.counts["s"]["dropped_documents"] == len(lost)
    assert step.counts["s"]["dropped_bytes"] == sum(len(row["text"]) for row in lost)


def test_a_source_that_loses_much_is_told_of() -> None:
    passage = "".join(map(str, range(200)))
    step = Step([f"{letter}{passage}" for letter in "abcd"], length=100, max_loss=0.7)
    assert [(event["source"], event["step"], event["share"] > 0.7) for event in step.events] == [
        ("s", "substring", True)
    ]
    assert not Step([f"{letter}{passage}" for letter in "abcd"], length=100, max_loss=0.8).events


@pytest.mark.parametrize("texts", [[], [""], ["", "a", "\n"], ["é" * 7], ["a" * 15], ["\0" * 16]])
def test_nothing_is_repeated_in_little(texts: list[str]) -> None:
    step = Step(texts, 2, length=16)
    assert not any(step.cuts().values()) and not len(step.fates())


@pytest.mark.parametrize("period", [1, 2, 7, 60, 99, 150, 300])
def test_a_period_stays_once(period: int) -> None:
    text = ("Z" + "".join(random.Random(period).choices("abcdefgh", k=period - 1))) * (60_000 // period)
    step = Step([text], length=200, min_left=0)
    assert step.cuts()[step.rows[0]["id"]] == [(period, len(text), step.rows[0]["id"])]
