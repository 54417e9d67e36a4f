"""Cleaning: each step on text that needs it, and on text that must stay as it is."""

import pytest

from pipeline import rows
from pipeline.corpus import clean
from pipeline.corpus.config import Source
from pipeline.rows import Row, Turn


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("cafe\u0301", "caf\u00e9"),  # NFC
        ("The fianc\u00c3\u00a9 said \u00e2\u20ac\u0153no\u00e2\u20ac\u009d", "The fianc\u00e9 said \u201cno\u201d"),
        ("\u00dcber \u201cquoted\u201d \u2013 fine", "\u00dcber \u201cquoted\u201d \u2013 fine"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ],
)
def test_unicode_is_repaired(broken: str, whole: str) -> None:
    assert clean.repair(broken) == whole


def test_emoji_become_words_and_signs_stay() -> None:
    assert (
        clean.name_emoji("so good \U0001f602\U0001f44d\U0001f3fd")
        == "so good (face with tears of joy)(thumbs up medium skin tone)"
    )
    assert clean.name_emoji("I \u2764\ufe0f it") == "I (red heart) it"
    assert clean.name_emoji("\u00a9 2001, a \u2192 b \u2122") == "\u00a9 2001, a \u2192 b \u2122"


def test_markdown_becomes_what_a_reader_sees() -> None:
    marked = (
        "# Othello\n\n_Enter RODERIGO_\n\n**IAGO**  \nTush! *never* tell me; snake_case, 2*3*4 \\*\n\n"
        "---\n> quoted [link](http://x)"
    )
    plain = "Othello\n\nEnter RODERIGO\n\nIAGO\nTush! never tell me; snake_case, 2*3*4 *\n\n\nquoted link"
    assert clean.unmark(marked) == plain


def test_entities_go_where_there_is_markup_and_stay_in_code() -> None:
    assert (
        clean.clean_text("Tom &amp; Jerry &lt;3 &unknown; AT&T", "entities", layout=False)
        == "Tom & Jerry <3 &unknown; AT&T"
    )
    assert clean.clean_text("x = '&amp;'", "none", layout=True) == "x = '&amp;'"


def test_blanks_and_control_characters() -> None:
    text = "\ufeff  a\u00a0b \t c\x00\x1b\r\nd\x85e   \n\n\n\n    f\u200b"
    assert clean.tidy(text, layout=False) == "a b c\nd\ne\n\nf"
    assert (
        clean.tidy("def f():\r\n\tif a:\n        return  1  \n", layout=True) == "def f():\n\tif a:\n        return  1"
    )


def test_the_turns_of_a_conversation_are_cleaned_and_empty_ones_go() -> None:
    turns = [Turn(who=0, text=" Hi \U0001f600 "), Turn(who=1, text="\u200b "), Turn(who=1, text="AT&amp;T")]
    row = Row(id="1", source="chats", text="", meta=rows.pack_meta(turns=turns, prompt="p"))
    found = clean.clean(row, Source(name="chats", kind="chats"))
    assert found["text"] == "A: Hi (grinning face)\nB: AT&T"
    assert rows.facts_of(found["meta"])["prompt"] == "p" and len(rows.turns_of(found["meta"])) == 2


def test_cleaning_twice_changes_nothing() -> None:
    source = Source(name="text", kind="plays")
    row = Row(id="1", source="text", text="# A\n\n**B**  \nc &amp; d\u00a0 e\x07\n\n\n\nf", meta="")
    once = clean.clean(row, source)
    assert clean.clean(once, source) == once
