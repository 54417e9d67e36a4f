"""The cut of text into words and marks, and the table of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.rules import words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop: it's late.", "Do n't stop : it 's late ."),
        ("a well-known (e.g. U.S.) and/or", "a well - known ( e.g. U.S. ) and / or"),
        ("Costs $3,000.50... see", "Costs $ 3,000.50 ... see"),
        ("(https://a.b/c?d=1), os.path.join", "( https://a.b/c?d=1 ) , os.path.join"),
        ("__init__ 3-4 key=value", "_ _ init _ _ 3 - 4 key = value"),
        ("«Où?» 你好。 नमस्ते।", "« Où ? » 你好 。 नमस्ते ।"),
        ("", ""),
    ],
)
def test_words_and_marks(text: str, tokens: str) -> None:
    assert words.split(text) == tokens.split()


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_nothing_but_blanks_is_lost_and_the_table_says_what_the_tokens_are(text: str) -> None:
    tokens = words.split(text)
    assert "".join(tokens) == "".join(text.split())
    table = words.table(text)
    assert table["length"].tolist() == [len(token) for token in tokens]
    assert table["hash"].tolist() == [words.token_hash(token) for token in tokens]
    letters = np.array([any(c.isalpha() for c in token) for token in tokens], bool)
    assert ((table["kind"] & words.LETTER > 0) == letters).all()


def test_a_mark_is_no_word_and_a_number_is_one() -> None:
    kinds = words.table("word 12 x1 -- ___ ...")["kind"].tolist()
    assert kinds == [words.WORD | words.LETTER, words.WORD, words.WORD | words.LETTER, 0, 0, 0, 0, 0]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words._Known, "ENTRIES", 10)
    known = words._Known(str.encode)
    for number in range(100):
        assert known[str(number)] == str(number).encode()
        assert len(known) <= 10
    assert known["x" * 100] == b"x" * 100 and "x" * 100 not in known
