"""Gopher's quality rules: one text that breaks each, at its threshold and past it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.rules import gopher_quality
from pipeline.corpus.rules.config import GopherQualityConfig
from pipeline.corpus.rules.seen import Seen

SENTENCE = "the old house by a river was sold with all of its rooms and that garden "
GOOD = SENTENCE * 4


def broken(text: str, **settings: object) -> tuple[str, float] | None:
    config = GopherQualityConfig.model_validate(settings)
    return gopher_quality.broken(Seen(text), config)


@pytest.mark.parametrize(
    ("text", "reason", "score"),
    [
        ("the and " * 24, "min_words < 50", 48.0),
        ("of it " * 50, "min_word_length < 3", 2.0),
        ("the notwithstanding notwithstanding " * 20, "max_word_length > 10", None),
        ("#the #and " * 5 + GOOD, "max_hashes > 0.1", None),
        ("the… and... " * 6 + GOOD, "max_ellipses > 0.1", None),
        ("\n".join(["- " + SENTENCE] * 10), "max_bullet_lines > 0.9", 1.0),
        ("\n".join([SENTENCE + "..."] * 4 + [SENTENCE] * 4), "max_ellipsis_lines > 0.3", 0.5),
        (GOOD + "1234 " * 20, "min_alphabetic < 0.8", None),
        ("house river garden " * 30, "min_stop_words < 2", 0.0),
        ("The house river garden " * 30, "min_stop_words < 2", 1.0),
    ],
)
def test_each_rule_names_itself_its_threshold_and_the_score(text: str, reason: str, score: float | None) -> None:
    found = broken(text)
    assert found is not None and found[0] == f"gopher_quality.{reason}"
    assert score is None or found[1] == score


def test_the_threshold_itself_is_good() -> None:
    assert broken("the and that " * 16 + "have it") is None  # 50 words
    assert broken("\n".join([SENTENCE + "..."] * 3 + [SENTENCE] * 7)) is None
    assert broken(GOOD, max_words=61) == ("gopher_quality.max_words > 61", 64.0)
    assert broken(GOOD, max_words=64) is None


def test_marks_count_as_words_where_asked() -> None:
    text = "the, and, that, house; " * 20
    assert broken(text) is None
    assert broken(text, marks_are_words=True) == ("gopher_quality.min_alphabetic < 0.8", 0.5)


def test_every_threshold_has_a_rule() -> None:
    fields = set(GopherQualityConfig.model_fields) - {"marks_are_words", "stop_words"}
    assert {rule.field for rule in gopher_quality.RULES} == fields


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_is_judged_and_only_a_longer_one_can_be_kept(text: str) -> None:
    found = broken(text)
    assert found is not None or len(text.split()) >= 10
