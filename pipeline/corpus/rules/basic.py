"""Loose rules of our own for small corpora, code and conversations: each measures one thing and has one threshold.

The measures follow the published rule sets (Gopher, arXiv 2112.11446, table A1; C4, arXiv 1910.10683, section 2.2)
where those have one; thresholds are loose, because a small corpus cannot spare much.
"""

import re
import unicodedata
from collections import Counter
from functools import cached_property, lru_cache

from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.readers.config import PACKAGED, Source
from pipeline.corpus.rules.config import BasicConfig
from pipeline.corpus.rules.seen import Rule, first_broken
from pipeline.rows import Row

FAMILY = "basic"
PACKAGED_FOREIGN = 0.3  # the texts that come with a package are English

_DIGIT = re.compile(r"[0-9]")
_BLANK = re.compile(r"\s")
_NOT_LETTER = re.compile(r"[\W\d_]")
_WORDS_IN_LINE = re.compile(r"[\w \t]+")
_ASCII_LETTER = re.compile(r"[a-zA-Z]")
_UNSPACED = re.compile(  # Thai and Lao, Myanmar, Khmer, kana, Han
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003ffff]"
)

FEWEST_WORDS_TO_COUNT = 20
FEWEST_LINES_TO_COUNT = 4
FEWEST_LINES_OF_A_TABLE = 20


class Seen:
    """What several rules look at, worked out once."""

    def __init__(self, row: Row) -> None:
        self.text = row["text"]
        self.turns = rows.turns_of(row["meta"])

    @cached_property
    def words(self) -> list[str]:
        """Words of what was said, without the speakers' letters. In scripts without blanks each character is one."""
        said = [turn["text"] for turn in self.turns] or [self.text]
        return [word for text in said for word in _spaced(text).split()]

    @cached_property
    def letters(self) -> str:
        return _NOT_LETTER.sub("", self.text)

    @cached_property
    def visible(self) -> int:
        return max(1, len(self.text) - len(_BLANK.findall(self.text)))


def _spaced(text: str) -> str:
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)


def too_few_words(seen: Seen) -> float:
    """Words."""
    return float(len(seen.words))


def one_speaker(seen: Seen) -> float:
    """Speakers of a conversation; infinitely many where the document is none."""
    return float(len({turn["who"] for turn in seen.turns})) if seen.turns else float("inf")


def foreign_script(seen: Seen) -> float:
    """Share of letters outside the Latin script."""
    if seen.letters.isascii():
        return 0.0
    others = Counter(_ASCII_LETTER.sub("", seen.letters))
    return sum(n for letter, n in others.items() if not _is_latin(letter)) / len(seen.letters)


@lru_cache(maxsize=65_536)
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("LATIN")


def few_letters(seen: Seen) -> float:
    """Share of letters among visible characters."""
    return len(seen.letters) / seen.visible


def mostly_digits(seen: Seen) -> float:
    """Share of digits among visible characters."""
    return len(_DIGIT.findall(seen.text)) / seen.visible


def long_words(seen: Seen) -> float:
    """Mean length of a word, in characters."""
    return sum(map(len, seen.words)) / max(1, len(seen.words))


def one_word(seen: Seen) -> float:
    """Share of the most frequent word, from 20 words up."""
    if len(seen.words) < FEWEST_WORDS_TO_COUNT:
        return 0.0
    return max(Counter(word.lower() for word in seen.words).values()) / len(seen.words)


def repeated_lines(seen: Seen) -> float:
    """Share of characters that stand in a line which was there before, from 4 lines up."""
    lines = [line.strip() for line in seen.text.split("\n") if line.strip()]
    if len(lines) < FEWEST_LINES_TO_COUNT:
        return 0.0
    again = sum(len(line) * (n - 1) for line, n in Counter(lines).items())
    return again / max(1, sum(map(len, lines)))


def table(seen: Seen) -> float:
    """Share of characters in lines with the one commonest shape, from 20 lines up; a conversation is no table.

    A line's shape is its punctuation: generated tables, one entry a line, repeat a shape of three marks or more.
    """
    lines = seen.text.split("\n")
    if seen.turns or len(lines) < FEWEST_LINES_OF_A_TABLE:
        return 0.0
    size: Counter[str] = Counter()
    for shape, line in zip(_WORDS_IN_LINE.sub("", seen.text).split("\n"), lines, strict=True):
        if len(shape) >= 3:
            size[shape] += len(line.strip())
    return max(size.values(), default=0) / max(1, len(seen.text))


RULES: tuple[Rule[Seen], ...] = (
    Rule(foreign_script, ">", "max_foreign"),
    Rule(too_few_words, "<", "min_words"),
    Rule(one_speaker, "<", "min_speakers"),
    Rule(few_letters, "<", "min_letters"),
    Rule(mostly_digits, ">", "max_digits"),
    Rule(long_words, ">", "max_word_length"),
    Rule(one_word, ">", "max_word_share"),
    Rule(repeated_lines, ">", "max_repeated_lines"),
    Rule(table, ">", "max_table"),
)


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    own, packaged = (settled(config.rules.basic, comes_with) for comes_with in (False, True))

    def judge(row: Row, source: Source) -> Verdict:
        return Verdict(broken=broken(row, packaged if source.kind in PACKAGED else own))

    return judge


def settled(config: BasicConfig, packaged: bool) -> BasicConfig:
    """With a ``max_foreign`` where it was left open: off for the user's own files, which may be in any script."""
    if config.max_foreign is not None:
        return config
    return config.model_copy(update={"max_foreign": PACKAGED_FOREIGN if packaged else 1.0})


def broken(row: Row, config: BasicConfig) -> tuple[str, float] | None:
    """The first rule that a document breaks, as (reason, score); None where it keeps all of them."""
    return first_broken(FAMILY, RULES, Seen(row), config)
