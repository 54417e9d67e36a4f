import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.readers.config import Source
from pipeline.corpus.signals import spelling
from pipeline.corpus.signals.config import SpellingConfig
from pipeline.rows import Row

PROSE = (
    "In the libary are many letters from people who live in the small villages beyond the river,\n"
    "and most of them write about the weather, the harvest and the price of bread."
)
TEXT = Source(name="s", kind="text", path="x")
CORRECT = SpellingConfig(correct=True)


def row(text: str, meta: str = "") -> Row:
    return Row(id="1", source="s", text=text, meta=meta)


def words(text: str) -> list[str]:
    return [match.group() for match in spelling.judged(text)]


def test_words_of_small_letters_are_judged_and_nothing_else() -> None:
    assert words('He said: "plain words, don\'t they?"') == ["said", "plain", "words", "don't", "they"]
    for none in (
        "Ada UNESCO 42 3rd x1 snake-case /usr/bin os.path www.site.org name@site.org it2 café",
        "    indented words are code",
        "x = some words here",
        "call(some words)",
        "for every line in words:",
        "// some words here",
        "import some words",
        "```\nsome words here\n```",
        "~~~~\nsome words here",
        "see `some words` here",
    ):
        assert words(none) == [], none
    assert words("prose\n```\ncode words\n```\nmore prose") == ["prose", "more", "prose"]


def test_the_share_of_unknown_words_is_a_signal_and_a_rule_only_when_set() -> None:
    text = "qwxzv " * 5 + "house " * 15
    assert spelling.judge(row(text), TEXT, SpellingConfig()).signals == {"misspelt": 0.25}
    assert spelling.judge(row(text), TEXT, SpellingConfig()).broken is None
    assert spelling.judge(row(text), TEXT, SpellingConfig(max_misspelt=0.25)).broken is None
    assert spelling.judge(row(text), TEXT, SpellingConfig(max_misspelt=0.2)).broken == ("misspelt > 0.2", 0.25)
    assert spelling.judge(row("house qwxzv"), TEXT, SpellingConfig()).signals == {}
    assert spelling.judge(row(text), Source(name="s", kind="code"), SpellingConfig()).signals == {}


@pytest.mark.parametrize(
    ("word", "new"),
    [
        ("goverment", "government"),
        ("definately", "definitely"),
        ("libary", "library"),
        ("recieve", None),  # receive, or relieve
        ("numpy", None),  # four neighbours
        ("encodings", None),  # an ending that the dictionary lacks
        ("kobject", None),  # another first letter
        ("glibc", None),  # a rare neighbour
        ("qwxzvk", None),
    ],
)
def test_only_a_clear_suggestion_is_one(word: str, new: str | None) -> None:
    assert not spelling.known(word)
    assert spelling.suggestion(word) == new


def test_a_correction_is_a_counted_cut() -> None:
    verdict = spelling.judge(row(PROSE), TEXT, CORRECT)
    assert verdict.text == PROSE.replace("libary", "library")
    (cut,) = verdict.cuts
    assert (cut["step"], cut["reason"], cut["count"], cut["bytes"]) == ("filter", "misspelt", 1, 6)
    assert cut["text"] == "libary -> library"
    assert spelling.judge(row(PROSE), TEXT, SpellingConfig()).text is None


@pytest.mark.parametrize(
    "text",
    [
        PROSE.replace("letters", "libary"),  # what recurs is a term
        PROSE + "\nThe Libary protocol.",  # and so is what has a capital elsewhere
        PROSE + "\nsee libary_all() there",
        PROSE + " wxq vbk zzx qqp" * 4,  # no English
    ],
)
def test_terms_names_and_other_languages_are_left_alone(text: str) -> None:
    assert spelling.judge(row(text), TEXT, CORRECT).text is None


def test_a_conversation_is_left_alone() -> None:
    assert spelling.judge(row(PROSE, '{"turns": []}'), TEXT, CORRECT).text is None


typos = st.sampled_from(["recieve", "definately", "libary", "goverment", "enviroment", "beleive"])
plain = st.sampled_from(
    ["the", "house", "stands", "where", "people", "write", "many", "small", "letters", "about", "weather"]
)
word = st.from_regex(r"[a-z]{3,8}", fullmatch=True)
number = st.from_regex(r"[0-9]{1,4}([.,:][0-9]+)?(th|kg|%)?", fullmatch=True)
name = st.from_regex(r"[A-Z][a-z]{3,8}", fullmatch=True)
typo_in = st.builds(
    str.format,
    st.sampled_from(["{}_x", "x.{}", "/{}/b", "{}@site.org", "a-{}", "{}()", "{}2", "https://site.org/{}"]),
    typos,
)
protected = st.one_of(number, name, typo_in, typos.map(str.capitalize), typos.map(str.upper))
prose = st.lists(st.one_of(plain, typos, word, protected), min_size=1, max_size=12).map(" ".join)
code = st.builds(
    str.format,
    st.sampled_from(
        ["    {} {}", "{} = {}", "if {} {}:", "return {} {}", "{}({})", "{{ {} {} }}", "# {} {}", "{} {};"]
    ),
    typos,
    plain,
)
documents = st.lists(st.one_of(prose, code), min_size=1, max_size=6).map("\n".join)


@settings(max_examples=100, deadline=None)
@given(documents)
def test_code_names_and_numbers_do_not_change(text: str) -> None:
    whole = PROSE + "\n" + text + "\n" + "the people write many small letters about the weather\n" * 10
    after = spelling.judge(row(whole), TEXT, CORRECT).text or whole
    for old, new in zip(whole.split("\n"), after.split("\n"), strict=True):
        is_code = re.match(r" {4}|if .*:$|return |# ", old) or re.search(r"[={}();_]", old)
        for before, now in zip(old.split(), new.split(), strict=True):
            if is_code or not re.fullmatch(r"[a-z]+[.,]?", before):
                assert now == before
            elif now != before:
                assert spelling.known(now.rstrip(".,"))
                assert not spelling.known(before.rstrip(".,"))


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_can_be_judged(text: str) -> None:
    verdict = spelling.judge(row(text), TEXT, CORRECT)
    assert 0 <= float(verdict.signals.get("misspelt", 0)) <= 1
