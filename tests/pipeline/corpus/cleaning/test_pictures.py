"""Emoji and emoticons to words."""

import pytest

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
