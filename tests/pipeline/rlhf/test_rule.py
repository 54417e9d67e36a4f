"""The rule that can be checked on the text."""

import pytest

from pipeline.rlhf import rule


@pytest.mark.parametrize(
    ("text", "ended", "score"),
    [
        ("I like old ships.", True, 1.0),
        ("I like old ships", True, 0.75),  # no mark
        ("I like old ships.", False, 0.5),  # cut off: no end, and its mark does not count
        ("Yes.", True, 0.5),  # two conditions ask for words
        ("I like ships and I like ships and no.", True, 0.75),  # three words twice
        ("i LIKE ships, I like ships.", True, 1.0),  # a comma makes another word
        ("", True, 0.25),
        ("", False, 0.0),
        ("Who are you?  ", True, 1.0),
    ],
)
def test_quarters(text: str, ended: bool, score: float) -> None:
    assert rule.score(text, ended) == score
