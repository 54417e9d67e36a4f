"""What rules of several families look at in one text, worked out once; and how a family finds the rule that is broken.

Knows no family. A rule is a measure of a document, a field of its family's config as the threshold, and the sign that
breaks it.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cluster.fields import Config
from pipeline.corpus.rules import words

T = TypeVar("T")

_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")
_BROKEN: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Rule(NamedTuple, Generic[T]):
    """A document is dropped where ``measure`` stands to the threshold in ``field`` as ``sign`` says."""

    measure: Callable[[T], float]
    sign: str
    field: str


def first_broken(family: str, rules: Iterable[Rule[T]], seen: T, config: Config) -> tuple[str, float] | None:
    """The first rule that is broken, as (reason, score); the reason says family, field, sign and threshold."""
    for measure, sign, field in rules:
        score, threshold = measure(seen), getattr(config, field)
        if _BROKEN[sign](score, threshold):
            return f"{family}.{field} {sign} {threshold:g}", round(score, 6)
    return None


class Seen:
    """One text."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        """Lines with anything in them."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return [part for part in _PARAGRAPHS.split(self.text.strip()) if part]

    @cached_property
    def tokens(self) -> NDArray[np.void]:
        """Words and marks, as a table of words.TOKEN."""
        return words.table(self.text)

    @cached_property
    def word_lengths(self) -> NDArray[np.uint32]:
        """Characters of each word, marks left out."""
        lengths: NDArray[np.uint32] = self.tokens["length"][(self.tokens["kind"] & words.WORD) > 0]
        return lengths

    @cached_property
    def repeated_lines(self) -> tuple[int, int]:
        """Lines that stood there before, and their characters."""
        return _repeated(self.lines)

    @cached_property
    def repeated_paragraphs(self) -> tuple[int, int]:
        """Paragraphs that stood there before, and their characters."""
        return _repeated(self.paragraphs)


@lru_cache(maxsize=1)
def of(text: str) -> Seen:
    """The text that was asked for last is not worked out again."""
    return Seen(text)


def _repeated(parts: Sequence[str]) -> tuple[int, int]:
    if len(set(parts)) == len(parts):
        return 0, 0
    before: set[str] = set()
    count = characters = 0
    for part in parts:
        if part in before:
            count += 1
            characters += len(part)
        else:
            before.add(part)
    return count, characters
