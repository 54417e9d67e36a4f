"""What rules of several families look at in one text, worked out once; and how a family of rules alone is made.

Knows no family. A rule is a measure of a document, a field of its family's config as the threshold, and the sign that
breaks it.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from cluster.fields import Config
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.readers.config import Source
from pipeline.corpus.rules import words
from pipeline.rows import Row

C = TypeVar("C", bound=Config)
T = TypeVar("T")
Broken: TypeAlias = tuple[str, float] | None  # (reason, score)

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


def first_broken(family: str, rules: Iterable[Rule[T]], seen: T, config: Config) -> Broken:
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


@dataclass(frozen=True)
class Published(Generic[C, T]):
    """A family that is rules over a text and nothing else; its config is the one of its name."""

    name: str
    rules: tuple[Rule[T], ...]
    measured: Callable[[Seen, C], T]  # what the rules measure

    def broken(self, seen: Seen, config: C) -> Broken:
        """The first rule that a text breaks."""
        return first_broken(self.name, self.rules, self.measured(seen, config), config)

    def make(self, config: CorpusConfig, learnt: Learnt) -> Family:
        """The judge of one document."""
        own: C = getattr(config.rules, self.name)

        def judge(row: Row, source: Source) -> Verdict:
            return Verdict(broken=self.broken(of(row["text"]), own))

        return judge


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
