"""Entities and sure marks: what becomes text, and what stays."""

import pytest

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.entities import undo

CONFIG = CleaningConfig()


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
