"""Cleaning: each step on text that needs it, on text that must stay as it is, and twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rows
from pipeline.corpus.cleaning import clean
from pipeline.corpus.cleaning.clean import Manner
from pipeline.corpus.cleaning.config import PRIVATE, CleaningConfig, PrivacyConfig
from pipeline.corpus.readers.config import Source
from pipeline.rows import Row, Turn

CONFIG = CleaningConfig()
PLAIN = Manner("none", layout=True, prose=True, private=())


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("cafe\u0301", "caf\u00e9"),  # NFC
        ("The fianc\u00c3\u00a9 said \u00e2\u20ac\u0153no\u00e2\u20ac\u009d", "The fianc\u00e9 said \u201cno\u201d"),
        ("\u00dcber \u201cquoted\u201d \u2013 fine", "\u00dcber \u201cquoted\u201d \u2013 fine"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("e\u200b\u0301", "\u00e9"),  # what stood between is gone before they are put together
        ("\uff0c\uff21 \ufb01n", "\uff0c\uff21 \ufb01n"),  # width and ligatures are the author's
    ],
)
def test_unicode_is_repaired(broken: str, whole: str) -> None:
    assert clean.normal(broken, repair=True) == whole


def test_mojibake_stays_where_repair_is_off() -> None:
    assert clean.normal("fianc\u00c3\u00a9", repair=False) == "fianc\u00c3\u00a9"


@pytest.mark.parametrize(
    "text",
    [
        "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",  # points, in canonical order
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # a joiner that the spelling needs
        "\u0915\u094d\u200d\u0937 \u0e19\u0e49\u0e33",
        "\u4e16\u754c\u3002\u300c\u3042\u300d",
        "Z\u0351\u036b\u036a\u0302",
    ],
)
def test_other_scripts_stay(text: str) -> None:
    assert clean.clean_text(text, PLAIN, CONFIG, []) == text


def test_direction_marks_go_and_the_text_stays() -> None:
    text = "\u202bPHP \u200f\u05e9\u05dc\u05d5\u05dd\u2069\u061c!"
    assert clean.clean_text(text, PLAIN, CONFIG, []) == "PHP \u05e9\u05dc\u05d5\u05dd!"


def test_a_stack_of_marks_takes_no_time() -> None:
    tower = "a" + "\u0315\u0300" * 100_000  # ordering them would take minutes
    assert clean.compose(tower) == tower
    assert clean.compose("e\u0301" + tower) == "\u00e9" + tower


@pytest.mark.parametrize(("layout", "cleaned"), [(False, "a b c\nd\ne\n\nf"), (True, "  a b \t c\nd\ne\n\n    f")])
def test_blanks_and_control_characters(layout: bool, cleaned: str) -> None:
    text = "\ufeff  a\u00a0b \t c\x00\x1b\r\nd\u2028e   \n\n\n\n    f\u200b"
    assert clean.tidy(clean.normal(text, repair=True), layout) == cleaned


def test_code_keeps_its_layout_its_signs_and_its_addresses() -> None:
    source = Source(name="code", kind="code")
    text = "def f(): # :) \U0001f600 a@b.fr\n\tif a:\n        return  1  "
    row = Row(id="1", source="code", text=text, meta="")
    assert clean.clean(row, source, CONFIG) == (Row(id="1", source="code", text=text.rstrip(), meta=""), [])


def test_the_turns_of_a_conversation_are_cleaned_and_empty_ones_go() -> None:
    turns = [Turn(who=0, text=" Hi \U0001f600 "), Turn(who=1, text="\u200b "), Turn(who=1, text="AT&amp;T :)")]
    row = Row(id="1", source="chats", text="", meta=rows.pack_meta(turns=turns, prompt="p"))
    found, cuts = clean.clean(row, Source(name="chats", kind="chats"), CONFIG)
    assert found["text"] == "A: Hi (grinning face)\nB: AT&T (smiling face)" and cuts == []
    assert rows.facts_of(found["meta"])["prompt"] == "p" and len(rows.turns_of(found["meta"])) == 2


def test_what_is_masked_is_counted_by_kind_and_shown_only_in_shape() -> None:
    turns = [Turn(who=0, text="I am ann@firma24.de"), Turn(who=1, text="bo@b.fr, 93.184.216.34")]
    row = Row(id="1", source="chats", text="", meta=rows.pack_meta(turns=turns))
    found, cuts = clean.clean(row, Source(name="chats", kind="chats"), CONFIG)
    assert found["text"] == "A: I am <EMAIL>\nB: <EMAIL>, <IP>"
    assert [(c["step"], c["reason"], c["count"], c["bytes"], c["text"]) for c in cuts] == [
        ("clean", "email", 2, 21, "xxx@xxxxx99.xx"),
        ("clean", "ip", 1, 13, "99.999.999.99"),
    ]


@pytest.mark.parametrize(
    ("privacy", "kind", "masked"),
    [("auto", "text", True), ("auto", "code", False), ("off", "text", False), ("on", "code", True)],
)
def test_privacy_is_a_matter_of_the_source(privacy: str, kind: str, masked: bool) -> None:
    source = Source.model_validate({"name": "s", "kind": kind, "path": "x", "privacy": privacy})
    assert clean.manner_of(source, CONFIG).private == (PRIVATE if masked else ())
    few = CleaningConfig(privacy=PrivacyConfig(kinds=("ip",)))
    assert clean.manner_of(source, few).private == (("ip",) if masked else ())


def test_formulas_that_are_dropped_are_counted() -> None:
    source = Source(name="s", kind="text", path="x", markup="latex")
    row = Row(id="1", source="s", text=r"\emph{So} $a+b$ is $c$.", meta="")
    found, cuts = clean.clean(row, source, CleaningConfig(math="drop"))
    assert found["text"] == "So  is ." and [(c["reason"], c["count"], c["text"]) for c in cuts] == [
        ("math", 2, "$a+b$")
    ]
    assert clean.clean(row, source, CONFIG)[0]["text"] == "So $a+b$ is $c$."


CHARACTERS = (
    "abx *_#>-=|[]()`~\\&<:;$%{}'\"@.\n\t\r\x00\x0b\x85\u2028\u200b\u00ad\u00a0\u3000\u200d\ufe0f\u0301\u0344\u0315"
)
CHARACTERS += "e\u00e9\u212a\u037e\u1fef\ud800\u05d0\u200f\u0627\u4e16\u3002\u00a9\U0001f600"
MARKS = r"""
** __ ## > --- === ](http://x.y/) [a]: ![ ``` ~~~ &amp; &lt; &#42; &nbsp; &#8203; &#0; <br> <!-- --> <b>
$x$ $$ \$ \[ \] \% \begin{verbatim} \end{verbatim} \begin{equation} \end{equation} \textbf{ \section{ \item \'e \\ \{
\ldots `` '' :) :-) ;) <3 xD ^_^ a@b.fr 030/1234567 93.184.216.34
"""
PICTURES = ["\u2764\ufe0f", "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\U0001f1e9\U0001f1ea", "\u2190\ufe0f"]
BROKEN = ["\u00c3\u00a9", "\u00e2\u20ac\u0153", "\u00e2\x80\x9c"]
TOKENS = [*CHARACTERS, *MARKS.split(), *PICTURES, *BROKEN, "+44 20 7946 0958", "\n\n"]
texts = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join) | st.text(max_size=80)
manners = st.builds(
    Manner,
    st.sampled_from(["none", "entities", "markdown", "latex"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), PRIVATE]),
)


@settings(max_examples=50, deadline=None)
@given(texts, manners, st.sampled_from(["keep", "drop"]))
def test_cleaning_what_is_clean_changes_nothing(text: str, manner: Manner, math: str) -> None:
    config = CleaningConfig.model_validate({"math": math})
    once = clean.clean_text(text, manner, config, [])
    taken: clean.Taken = []
    assert clean.clean_text(once, manner, config, taken) == once and taken == []
    once.encode()  # no lone surrogate is left


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=9).map(lambda s: f"{s} word, no. "))
def test_plain_words_stay(text: str) -> None:
    for markup in ("none", "entities", "markdown", "latex"):
        manner = Manner(markup, layout=True, prose=True, private=PRIVATE)
        assert clean.clean_text(text, manner, CONFIG, []) == text.rstrip()
