"""The rules of FineWeb (arXiv 2406.17557, section 3.6): lines that end nowhere, that repeat, that are short.

The paper drops at the threshold itself, so the signs are <= and >=. ``max_newlines`` is no rule of the paper but of its
released code, and is off.
"""

from pipeline.corpus.rules.config import FineWebConfig
from pipeline.corpus.rules.seen import Published, Rule, Seen

FAMILY = "fineweb"
ENDS = tuple(".!?‼‽⁇⁈⁉。．｡！？։؟۔।॥።၊။។៕᙮᠃᠉܀܁܂")
"""Marks that end a sentence (Unicode's property Sentence_Terminal, for scripts in common use)."""


class Measured:
    """A text beside what is short for a line of it."""

    def __init__(self, seen: Seen, config: FineWebConfig) -> None:
        self.seen, self.short_line = seen, config.short_line
        self.lines = max(1, len(seen.lines))


def ended_lines(m: Measured) -> float:
    """Share of lines that end with a mark that ends a sentence."""
    return sum(line.rstrip().endswith(ENDS) for line in m.seen.lines) / m.lines


def short_lines(m: Measured) -> float:
    """Share of lines with fewer characters than ``short_line``."""
    return sum(len(line) < m.short_line for line in m.seen.lines) / m.lines


def repeated_characters(m: Measured) -> float:
    """Share of characters, newlines apart, in lines that stood there before."""
    return m.seen.repeated_lines[1] / max(1, len(m.seen.text) - m.seen.text.count("\n"))


def newlines(m: Measured) -> float:
    """Newlines for each word, marks counted as words."""
    return m.seen.text.count("\n") / max(1, len(m.seen.tokens))


RULES: tuple[Rule[Measured], ...] = (
    Rule(ended_lines, "<=", "min_ended_lines"),
    Rule(short_lines, ">=", "max_short_lines"),
    Rule(repeated_characters, ">=", "max_repeated_characters"),
    Rule(newlines, ">=", "max_newlines"),
)
_FAMILY = Published(FAMILY, RULES, Measured)
make, broken = _FAMILY.make, _FAMILY.broken
