"""The rules of C4 (arXiv 1910.10683, section 2.2, and its released code): lines that are no sentences are cut, and
pages that are code, filler or obscene are dropped.

Blank lines between lines that stay become one. A conversation keeps its lines, which are its turns; the rules of the
whole page hold for it too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.rules.config import C4Config
from pipeline.rows import Cut, Row

FAMILY, LEARNT = "c4", "learnt/c4_bad_words.bin"
ENDS = (".", "!", "?", '"', "'", "”", "’")
ELLIPSES = ("...", "…")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

_CITATION = re.compile(r"\[(?:\d+|edit|citation needed)\]")
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s+(?=\S*\w)")
_NO_END = re.compile(r"\b(?:[A-Za-z]|Mrs?|Ms|Dr|Prof|St|vs|etc|cf|No|Fig|Jr|Sr|Inc|Co)\.\s+$")


def no_terminal_mark(line: str) -> bool:
    """It does not end with a full stop, an exclamation, question or quotation mark, or it trails off."""
    return not line.endswith(ENDS) or line.endswith(ELLIPSES)


def few_words(line: str, least: int) -> bool:
    """It has fewer words, as blanks part them."""
    return len(line.split(None, least)) < least


def long_word(line: str, most: int) -> bool:
    """One of its words has more characters."""
    return len(line) > most and max(map(len, line.split())) > most


def javascript(line: str) -> bool:
    """It names Javascript, as a page does that asks to turn it on."""
    return "javascript" in line.lower()


def policy(line: str) -> bool:
    """It is about cookies, privacy or terms of use."""
    lower = line.lower()
    return any(phrase in lower for phrase in POLICY)


@dataclass(frozen=True)
class Lines:
    """What the line rules made of a text: the lines that stay, and by reason those that go and the citation marks."""

    kept: list[str]
    gone: dict[str, list[str]]

    @property
    def text(self) -> str:
        return "\n".join(self.kept).strip()


LineRule = tuple[str, Callable[[str], bool]]


def line_rules(config: C4Config) -> list[LineRule]:
    """The rules for a line that are on, by name."""
    found: list[tuple[bool, str, Callable[[str], bool]]] = [
        (True, "long_word", partial(long_word, most=config.max_word_length)),
        (config.terminal_mark, "no_terminal_mark", no_terminal_mark),
        (config.min_line_words > 0, "few_words", partial(few_words, least=config.min_line_words)),
        (config.javascript, "javascript", javascript),
        (config.policy, "policy", policy),
    ]
    return [(name, rule) for on, name, rule in found if on]


def judge_lines(text: str, rules: list[LineRule], citations: bool) -> Lines:
    """Each line by the first rule that it breaks; blank lines go with the lines around them."""
    lines = Lines([], {})
    for line in map(str.strip, text.split("\n")):
        if not line:
            if lines.kept and lines.kept[-1]:
                lines.kept.append("")
            continue
        if citations and "[" in line and (marks := _CITATION.findall(line)):
            lines.gone.setdefault("citation", []).extend(marks)
            line = _CITATION.sub("", line).strip()
        for name, rule in rules:
            if rule(line):
                lines.gone.setdefault(name, []).append(line)
                break
        else:
            lines.kept.append(line)
    return lines


def lorem_ipsum(text: str) -> int:
    """Times that the phrase stands there."""
    return text.lower().count("lorem ipsum")


def curly_bracket(text: str) -> int:
    """Opening curly brackets."""
    return text.count("{")


def sentences(line: str) -> int:
    """Sentences of a line that stays: a mark and a blank end one inside of it, but not after an initial or a title."""
    ends = [line[max(0, end.start() - 8) : end.end()] for end in _SENTENCE_END.finditer(line)]
    return 1 + sum(not _NO_END.search(end) for end in ends)


class BadWords:
    """A list of words and phrases, each found where it stands apart from letters and digits, in any case."""

    def __init__(self, listed: list[str]) -> None:
        self.words = {entry for entry in listed if _WORD.fullmatch(entry)}
        self.phrases = [(e, re.compile(rf"(?<!\w){re.escape(e)}(?!\w)")) for e in listed if e not in self.words]

    def count(self, text: str) -> int:
        """Different entries that a text holds."""
        lower = text.lower()
        phrases = sum(bool(entry in lower and apart.search(lower)) for entry, apart in self.phrases)
        return phrases + (len(self.words.intersection(_WORD.findall(lower))) if self.words else 0)


def outside(config: CorpusConfig) -> list[str]:
    """The user's list."""
    return [config.rules.c4.bad_words] if config.rules.c4.bad_words else []


def learn(config: CorpusConfig) -> dict[str, bytes]:
    """The entries of the user's list, in lower case and sorted."""
    found: set[str] = set()
    for path in outside(config):
        try:
            listed = Path(path).read_text(encoding="utf-8").lower().splitlines()
        except (OSError, ValueError) as error:
            remedy = "Give a text file in UTF-8 with a word or phrase a line, or leave it empty"
            raise SourceError("corpus.rules.c4.bad_words", path, str(error), remedy) from error
        found |= {" ".join(entry.split()) for entry in listed}
    return {LEARNT: "\n".join(sorted(found - {""})).encode()} if found else {}


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    rules = config.rules.c4
    bad = BadWords(learnt(LEARNT).decode().split("\n")) if rules.bad_words else None
    return lambda row, source: judge(row, rules, bad)


def judge(row: Row, config: C4Config, bad: BadWords | None = None) -> Verdict:
    """The rules of lines, then those of the page."""
    talk = '"turns"' in row["meta"]
    lines = judge_lines(row["text"], [] if talk else line_rules(config), config.citations and not talk)
    broken = _broken(row["text"], lines, config, bad)
    if broken or not lines.gone:
        return Verdict(broken=broken)
    return Verdict(text=lines.text, cuts=_cuts(row, lines))


def _broken(text: str, lines: Lines, config: C4Config, bad: BadWords | None) -> tuple[str, float] | None:
    page = text if config.scope == "page" else lines.text
    if config.lorem_ipsum and (found := lorem_ipsum(page)):
        return f"{FAMILY}.lorem_ipsum > 0", float(found)
    if config.curly_bracket and (found := curly_bracket(page)):
        return f"{FAMILY}.curly_bracket > 0", float(found)
    if bad and (found := bad.count(text)):
        return f"{FAMILY}.bad_words > 0", float(found)
    if (found := sum(map(sentences, filter(None, lines.kept)))) < config.min_sentences:
        return f"{FAMILY}.min_sentences < {config.min_sentences}", float(found)
    return None


def _cuts(row: Row, lines: Lines) -> tuple[Cut, ...]:
    """One for each reason, in order of reason."""
    return tuple(
        Cut(
            id=row["id"],
            source=row["source"],
            step="filter",
            reason=f"{FAMILY}.{reason}",
            count=len(gone),
            bytes=sum(len(line.encode(errors="surrogatepass")) for line in gone),
            text=gone[0][: rows.CUT_TEXT_CHARACTERS],
        )
        for reason, gone in sorted(lines.gone.items())
    )
