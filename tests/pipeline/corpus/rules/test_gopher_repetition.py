"""Gopher's repetition rules beside naive versions of them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.rules import gopher_repetition, words
from pipeline.corpus.rules.config import GopherRepetitionConfig
from pipeline.corpus.rules.gopher_repetition import Grams
from pipeline.corpus.rules.seen import Seen

TEXTS = st.lists(st.sampled_from(["a", "to", "the", "sea", "house", "."]), max_size=60).map(" ".join)
VARIED = " ".join(f"word{i}{'abcdefgh'[i % 8]}" for i in range(100))


def naive_top(text: str, n: int) -> float:
    tokens = words.split(text)
    grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    gram, count = grams.most_common(1)[0] if grams else ((), 0)  # of several, the one that stands first
    return min(1.0, count * len(" ".join(gram)) / len(text)) if count > 1 else 0.0


def naive_repeated(text: str, n: int) -> float:
    tokens, before, i, characters = words.split(text), set(), 0, 0
    while i + n <= len(tokens):
        gram = tuple(tokens[i : i + n])
        characters += len("".join(gram)) * (gram in before)
        i += n if gram in before else 1
        before.add(gram)
    return characters / max(1, len(text))


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_n_grams_are_those_of_a_naive_count(text: str) -> None:
    grams = Grams(Seen(text))
    for n in (2, 3, 4):
        assert grams.top(n) == pytest.approx(naive_top(text, n))
    for n in (10, 9, 8, 7, 6, 5):  # in any order
        assert grams.repeated(n) == pytest.approx(naive_repeated(text, n))


def test_no_share_is_above_one() -> None:
    grams = Grams(Seen("a " * 1_000))
    assert grams.top(4) == 1.0 and 0.4 < grams.repeated(10) <= 1.0


LINES = [VARIED[i * 99 :][:99] for i in range(6)]
AGAIN = {
    "repeated_paragraphs": "\n\n".join([VARIED, "x", "y", "x", "y"]),
    "repeated_paragraph_characters": "\n\n".join([*LINES, VARIED[:340], VARIED[:340]]),
    "repeated_lines": "\n".join([VARIED, "x", "y", "x", "y"]),
    "repeated_line_characters": "\n".join([*LINES, VARIED[:340], VARIED[:340]]),
    "top_2_gram": " ".join(f"thing like {word}" for word in VARIED.split()),
    "top_3_gram": " ".join(f"a thing like {word}" for word in VARIED.split()),
    "top_4_gram": " ".join(f"or a thing like {word}" for word in VARIED.split()),
    **{f"repeated_{n}_grams": f"{VARIED} {VARIED[:300]}" for n in range(5, 11)},
}


@pytest.mark.parametrize("field", AGAIN)
def test_each_rule_finds_what_it_is_for_and_says_its_threshold(field: str) -> None:
    off = dict.fromkeys(GopherRepetitionConfig.model_fields, 2.0)
    threshold = getattr(GopherRepetitionConfig(), field)
    alone = GopherRepetitionConfig.model_validate(off | {field: threshold})
    found = gopher_repetition.broken(Seen(AGAIN[field]), alone)
    assert found is not None and found[0] == f"gopher_repetition.{field} > {threshold:g}" and found[1] > threshold
    assert gopher_repetition.broken(Seen(VARIED), alone) is None
    assert gopher_repetition.broken(Seen(AGAIN[field]), GopherRepetitionConfig.model_validate(off)) is None


def test_varied_text_is_kept_and_every_threshold_has_a_rule() -> None:
    for text in ("", "one", VARIED, VARIED.replace(" ", "\n")):
        assert gopher_repetition.broken(Seen(text), GopherRepetitionConfig()) is None
    assert {rule.field for rule in gopher_repetition.RULES} == set(GopherRepetitionConfig.model_fields)
