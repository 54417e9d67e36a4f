"""Markdown: what becomes text, and what stays."""

import html
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.cleaning.clean import ROUNDS
from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.markdown import undo

CONFIG = CleaningConfig()


def test_markdown_becomes_what_a_reader_sees() -> None:
    marked = (
        "# Othello\n\n_Enter RODERIGO_\n\n**IAGO**  \nTush! *never* tell me; snake_case, 2*3*4 \\*\n\n"
        "---\n> quoted [link](http://x)"
    )
    plain = "Othello\n\nEnter RODERIGO\n\nIAGO  \nTush! never tell me; snake_case, 2*3*4 *\n\n\nquoted link"
    assert undo(marked, CONFIG) == (plain, [])


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("Title\n=====\ntext", "Title\n\ntext"),
        ("## Both sides ##", "Both sides"),
        ("> > twice quoted", "twice quoted"),
        ("[![alt](img.png)](http://x)", "[alt](http://x)"),  # the next round takes the outer one
        ("[wiki](http://en.x.org/A_(b)) too", "wiki too"),
        ("see [this][1].\n\n[1]: http://x.y 'title'\nend", "see this.\n\nend"),
        ("<https://x.y/z>", "https://x.y/z"),
        ("a<br/>b<!-- not\nseen -->c", "a\nbc"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n\n| 1 | 2 |"),
        ("__init__ and __bold words__", "__init__ and bold words"),
        ("- item\n* item\n1. item", "- item\n* item\n1. item"),
        ("*a **b** c*", "a b c"),
        ("a * b * c, **kwargs, f(*args)", "a * b * c, **kwargs, f(*args)"),
        ("_one_two_ x_y_z _a\n\nb_", "one_two x_y_z _a\n\nb_"),
        ("&lt;b&gt; &amp;amp; &#x2014; &copy; &nosuch; AT&T", "<b> & \u2014 \u00a9 &nosuch; AT&T"),
    ],
)
def test_each_mark(marked: str, plain: str) -> None:
    assert undo(marked, CONFIG) == (plain, [])


@pytest.mark.parametrize(
    "code",
    ["```python\n**x** = `a` # &amp;\n```", "~~~\n_y_\n~~~", "say `**kwargs` and `&lt;`", "```\nno end **here**"],
)
def test_code_stays_with_its_marks(code: str) -> None:
    assert undo(code, CONFIG) == (code, [])


WORDS = st.text("abc é京.,", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
PARTS = [*"_*`[|a>", "**", "__", "```\n", "](x)", "# ", "\\", "<!--", "-->", "&lt;", "b c", "\n", "---"]


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_words_come_out_of_their_marks(words: list[str], data: st.DataObject) -> None:
    forms = ("{}", "**{}**", "*{}*", "[{}](http://x.y)", "<!-- {} -->", "`{}`")
    chosen = [data.draw(st.sampled_from(forms)) for _ in words]
    marked = "\n\n".join(form.format(word) for form, word in zip(chosen, words, strict=True))
    shown = {"<!-- {} -->": "", "`{}`": "`{}`"}
    plain = "\n\n".join(shown.get(form, "{}").format(word) for form, word in zip(chosen, words, strict=True))
    assert undo(marked, CONFIG) == (plain, [])
    assert undo(plain, CONFIG) == (plain, [])


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join)))
def test_characters_only_go_and_soon_nothing_changes(text: str) -> None:
    letters = Counter(text) + Counter(html.unescape(text))
    for _ in range(ROUNDS):
        before = text
        text, told = undo(text, CONFIG)
        assert told == [] and len(text) <= len(before)
    assert undo(text, CONFIG)[0] == text and not Counter(text) - letters
