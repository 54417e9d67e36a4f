"""The quality rules of Gopher (arXiv 2112.11446, section A1.1): is it prose, or lists, symbols and keywords?

A word is one with a letter or a digit (words.py); where ``marks_are_words`` is on, marks count as words in the shares
for each word, though never in the number of words and their length.
"""

from functools import lru_cache

from pipeline.corpus.rules import words
from pipeline.corpus.rules.config import GopherQualityConfig
from pipeline.corpus.rules.seen import Published, Rule, Seen

FAMILY = "gopher_quality"
BULLETS = ("•", "‣", "⁃", "◦", "∙", "●", "▪", "-", "*")
ELLIPSES = ("...", "…")


class Measured:
    """A text beside the two settings of its measures."""

    def __init__(self, seen: Seen, config: GopherQualityConfig) -> None:
        self.seen, self.stop_words = seen, hashes_of(config.stop_words)
        self.shared_by = max(1, len(seen.tokens if config.marks_are_words else seen.word_lengths))


def word_count(m: Measured) -> float:
    """Words."""
    return float(len(m.seen.word_lengths))


def word_length(m: Measured) -> float:
    """Mean characters of a word."""
    return int(m.seen.word_lengths.sum()) / max(1, len(m.seen.word_lengths))


def hashes(m: Measured) -> float:
    """Hash symbols for each word."""
    return m.seen.text.count("#") / m.shared_by


def ellipses(m: Measured) -> float:
    """Ellipses for each word."""
    return sum(map(m.seen.text.count, ELLIPSES)) / m.shared_by


def bullet_lines(m: Measured) -> float:
    """Share of lines that begin with a bullet point."""
    return sum(line.lstrip().startswith(BULLETS) for line in m.seen.lines) / max(1, len(m.seen.lines))


def ellipsis_lines(m: Measured) -> float:
    """Share of lines that end with an ellipsis."""
    return sum(line.rstrip().endswith(ELLIPSES) for line in m.seen.lines) / max(1, len(m.seen.lines))


def alphabetic(m: Measured) -> float:
    """Share of words with a letter."""
    return int((m.seen.tokens["kind"] >= words.LETTER).sum()) / m.shared_by


def stop_words(m: Measured) -> float:
    """Different stop words, in any case of letters."""
    return float(len({m.stop_words[h] for h in m.stop_words.keys() & set(m.seen.tokens["hash"].tolist())}))


RULES: tuple[Rule[Measured], ...] = (
    Rule(word_count, "<", "min_words"),
    Rule(word_count, ">", "max_words"),
    Rule(word_length, "<", "min_word_length"),
    Rule(word_length, ">", "max_word_length"),
    Rule(hashes, ">", "max_hashes"),
    Rule(ellipses, ">", "max_ellipses"),
    Rule(bullet_lines, ">", "max_bullet_lines"),
    Rule(ellipsis_lines, ">", "max_ellipsis_lines"),
    Rule(alphabetic, "<", "min_alphabetic"),
    Rule(stop_words, "<", "min_stop_words"),
)
_FAMILY = Published(FAMILY, RULES, Measured)
make, broken = _FAMILY.make, _FAMILY.broken


@lru_cache(maxsize=1)
def hashes_of(stop_words: tuple[str, ...]) -> dict[int, str]:
    """Hash -> stop word, of each word in lower case, with a capital and in capitals."""
    cases = {case: word for word in stop_words for case in (word, word.capitalize(), word.upper())}
    return {words.token_hash(case): word for case, word in cases.items()}
