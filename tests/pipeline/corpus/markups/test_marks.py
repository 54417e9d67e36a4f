"""All that cleaning asks of markups: each is found by its name, and its time grows with the text only."""

import importlib

import pytest

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups import entities, markdown

CONFIG = CleaningConfig()


@pytest.mark.parametrize("markup", ["entities", "markdown", "latex"])
def test_a_markup_is_found_by_its_name(markup: str) -> None:
    module = importlib.import_module(f"pipeline.corpus.markups.{markup}")
    assert module.undo("plain words", CONFIG) == ("plain words", [])


MARKS = [
    "**a ",
    "_a ",
    "*a ",
    "__a ",
    "[",
    "[a](",
    "[a](x(",
    "![a][",
    "<!--",
    "`",
    "```",
    "`\n",
    "~~~\n",
    "# ",
    "- - ",
    "> ",
    "&amp;",
    "<a",
    "---x\n",
    "-",
    " ",
    "\\",
]


@pytest.mark.parametrize("mark", MARKS)
def test_time_grows_with_the_text_and_no_faster(mark: str) -> None:
    """A quadratic rule would not come back."""
    many = mark * (300_000 // len(mark))
    markdown.undo(many, CONFIG)
    entities.undo(many, CONFIG)
