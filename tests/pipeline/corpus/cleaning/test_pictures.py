"""Emoji and emoticons to words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.cleaning import pictures


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("so good \U0001f602\U0001f44d\U0001f3fd", "so good (face with tears of joy)(thumbs up medium skin tone)"),
        ("I \u2764\ufe0f it", "I (red heart) it"),
        ("\u00a9 2001, a \u2192 b \u2122", "\u00a9 2001, a \u2192 b \u2122"),
        ("\u00a9\ufe0f \u2194\ufe0f 1\ufe0f\u20e3", "(copyright) (left-right arrow) (keycap 1)"),
        ("\u2b50\u23f0", "(star)(alarm clock)"),
        ("\U0001f1e9\U0001f1ea \U0001f468\u200d\U0001f469\u200d\U0001f467", "(Germany) (family man woman girl)"),
        ("\u0645\u06cc\u200c\u062e \u4e16\u3002", "\u0645\u06cc\u200c\u062e \u4e16\u3002"),
    ],
)
def test_emoji_become_words_and_signs_stay(text: str, words: str) -> None:
    assert pictures.name_emoji(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (":-) hi :) :)))", "(smiling face) hi (smiling face) (smiling face)"),
        ("no :( and :'(", "no (frowning face) and (crying face)"),
        (
            ";) ;-) :P :D =D xD",
            "(winking face) (winking face) (face with tongue) (grinning face) (grinning face) (laughing face)",
        ),
        ("I <3 you ^_^ -_-", "I (heart) you (smiling face) (annoyed face)"),
        ("a:) (see :). :-)x 10:30 :// = / =| ;( a <3b x:D", "a:) (see :). :-)x 10:30 :// = / =| ;( a <3b x:D"),
    ],
)
def test_emoticons_become_words_between_blanks_only(text: str, words: str) -> None:
    assert pictures.name_emoticons(text) == words


PARTS = st.one_of(st.sampled_from([":)", ";-)", "<3", "\u2764\ufe0f", "\u2b50\u200d", "\U0001f44d", "word"]), st.text())


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS.map(lambda part: "".join(part.splitlines())), min_size=1, max_size=8))
def test_plain_lines_stay_and_soon_nothing_changes(lines: list[str]) -> None:
    text = "\n".join(lines)
    for _ in range(3):
        before, text = text, pictures.name_emoticons(pictures.name_emoji(text))
    assert text == before
    for line, made in zip(lines, text.split("\n"), strict=True):
        words = re.sub(r"\([A-Za-z][^()]*\)", "", made)
        assert made == line or words != made  # what changed has a name in parentheses now
        assert line != "word" or made == "word"
    assert pictures.name_emoji("\n".join(filter(str.isascii, lines))) == "\n".join(filter(str.isascii, lines))
