"""Entities and sure marks: what becomes text, and what stays."""

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.entities import undo

CONFIG = CleaningConfig()
MARKS = ["&amp;", "lt;", "**", "a", " ", "](https://x.y)", "["]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Tom &amp; Jerry &lt;3 &unknown; AT&T", "Tom & Jerry <3 &unknown; AT&T"),
        ("write <b>&amp;amp;</b> for &amp;", "write <b>&amp;amp;</b> for &amp;"),
        ("a **bold** word, a [link](https://x.y/z)", "a bold word, a link"),
        ("2**3**4, {**a,**b}, f(**a, **b), *smiles*, _so_", "2**3**4, {**a,**b}, f(**a, **b), *smiles*, _so_"),
        ("# one, > two, [a](b), [1](notes)", "# one, > two, [a](b), [1](notes)"),
    ],
)
def test_only_what_is_sure_goes_where_markup_is_not_declared(text: str, plain: str) -> None:
    assert undo(text, CONFIG) == (plain, [])


@settings(max_examples=100, deadline=None)
@given(st.text("ab \n<>\"'é京"))
def test_what_was_escaped_comes_back(text: str) -> None:
    assert undo(html.escape(text), CONFIG) == (text, [])
    assert undo(html.escape(html.escape(text)), CONFIG) == (text, [])


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(MARKS)).map("".join)))
def test_only_marks_go(text: str) -> None:
    plain, told = undo(text, CONFIG)
    assert told == [] and len(plain) <= len(text)
    assert plain == text or any(mark in text for mark in ("&", "](", "**"))
