"""English words that the dictionary does not know: a signal, and a corrector that is off until asked for.

The dictionary is symspellpy's (82,765 words with frequencies). Judged are words of small ASCII letters that stand
alone between blanks and punctuation, in lines that do not look like code. Code, identifiers, names, numbers,
addresses and words with an accent are not judged, so they cannot be changed either.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable

from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.readers.config import Source
from pipeline.corpus.signals.config import SpellingConfig
from pipeline.rows import Cut, Row

SHORTEST = 5  # letters of a word that is corrected: a shorter one has too many neighbours
FREQUENT = 10_000_000  # of the dictionary's million million words: a rarer word is no clear suggestion
ENGLISH = 0.2  # a text with a larger share of unknown words is no English, and is not corrected

_WORD = re.compile(r"""(?:(?<=[\s("'“‘])|^)[a-z]{2,}(?:'[a-z]+)?(?=[\s,;:!?)"”’']|\.(?:[\s)"”’']|$)|$)""", re.MULTILINE)
_CODE_LINE = re.compile(
    r"""^(?:\t|[ ]{4}).*                                   # indented
    |^.*(?:[{}<>=\\|`^_]|\$[\w({]|~/).*                    # marks that prose has no use for
    |^.*(?:\(\)|::|\w\[|\w\(|;[ ]*$).*                     # a call, a path, an index, a statement's end
    |^[ ]*(?:[#@%>$]|//|--\ |import\ |from\ \w+\ import|include\ |using\ |package\ ).*
    |^[ ]*(?:def|class|if|elif|else|for|while|try|except|finally|with|case|switch|do|loop|match)\b.*:[ ]*$
    |^[ ]*(?:return|print|raise|let|var|const|export|echo|sudo|cd|git|pip|apt|npm|make|select|yield|assert|goto)\b.*
    |^[ ]*(?:end|fi|done|esac|pass|break|continue|begin)[ ]*$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_FENCED = re.compile(r"^[ ]{0,3}(```|~~~).*?(?:^[ ]{0,3}\1[ ]*$|\Z)", re.DOTALL | re.MULTILINE)
_ANY_WORD = re.compile(r"[A-Za-z]+")


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    return lambda row, source: judge(row, source, config.signals.spelling)


def judge(row: Row, source: Source, config: SpellingConfig) -> Verdict:
    """The signal ``misspelt``, where enough words are judged, and the rule that it is small enough."""
    if source.kind == "code":
        return Verdict()
    found = judged(row["text"])
    words = Counter(map(re.Match.group, found))
    unknown = sum(count for word, count in words.items() if not known(word))
    if len(found) < config.min_words:
        return Verdict()
    share = unknown / len(found)
    signals: dict[str, float | str] = {"misspelt": round(share, 4)}
    if share > config.max_misspelt:
        return Verdict(signals=signals, broken=(f"misspelt > {config.max_misspelt:g}", share))
    if not config.correct or not 0 < share <= ENGLISH or '"turns"' in row["meta"]:
        return Verdict(signals=signals)
    text, changed = correct(row["text"], found, words)
    if not changed:
        return Verdict(signals=signals)
    old, new = changed[0]
    cut = Cut(
        id=row["id"],
        source=row["source"],
        step="filter",
        reason="misspelt",
        count=len(changed),
        bytes=sum(len(word) for word, _ in changed),
        text=f"{old} -> {new}"[: rows.CUT_TEXT_CHARACTERS],
    )
    return Verdict(text=text, cuts=(cut,), signals=signals)


def judged(text: str) -> list[re.Match[str]]:
    """The words that may be judged, in order."""
    return list(_WORD.finditer(_blank_code(text)))


def _blank_code(text: str) -> str:
    """The text with as many dots in the place of each character of a code line: offsets stay, and no word is there."""
    if "```" in text or "~~~" in text:
        text = _FENCED.sub(lambda match: "." * len(match.group()), text)
    return _CODE_LINE.sub(lambda match: "." * len(match.group()), text)


def known(word: str) -> bool:
    """Whether the dictionary has the word, or that before its apostrophe."""
    words = _words()
    return word in words or ("'" in word and word.partition("'")[0] in words)


def correct(text: str, found: list[re.Match[str]], words: Counter[str]) -> tuple[str, list[tuple[str, str]]]:
    """The text after replacements, and these as (old, new), in order.

    Replaced is an unknown word for which the dictionary has exactly one word at edit distance 1 (Damerau 1964: a
    letter more, less, other, or two swapped), if it stands there once and nowhere in the text as a part of something
    else or with a capital: what recurs is a term or a name.
    """
    spans = [m.span() for m in found if words[m.group()] == 1 and len(m.group()) >= SHORTEST and not known(m.group())]
    if not spans:
        return text, []
    everywhere = Counter(word.lower() for word in _ANY_WORD.findall(text))
    pieces: list[str] = []
    changed: list[tuple[str, str]] = []
    at = 0
    for start, end in spans:
        word = text[start:end]
        new = suggestion(word) if word.isalpha() and everywhere[word] == 1 else None
        if new:
            pieces += [text[at:start], new]
            changed.append((word, new))
            at = end
    return "".join([*pieces, text[at:]]), changed


@cache
def _words() -> frozenset[str]:
    lines = _dictionary().read_text(encoding="utf-8-sig").splitlines()
    return frozenset(line.partition(" ")[0] for line in lines)


def _dictionary() -> Traversable:
    return files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt")


def suggestion(word: str) -> str | None:
    """The only word of the dictionary at edit distance 1; None where there is none, or a choice, or it is not clear: a
    rare word, one that begins with another letter (typists rarely miss the first), or the same without its ending."""
    if len(_suggested) >= 1 << 16:
        _suggested.clear()
    if word not in _suggested:
        _suggested[word] = _speller()(word)
    return _suggested[word]


_suggested: dict[str, str | None] = {}


@cache
def _speller() -> Callable[[str], str | None]:
    """Takes 1.6 s and 100 MB to make: only where words are corrected, once a process."""
    from symspellpy import SymSpell, Verbosity

    speller = SymSpell(max_dictionary_edit_distance=1)
    with as_file(_dictionary()) as path:
        speller.load_dictionary(path, 0, 1, encoding="utf-8-sig")

    def only(word: str) -> str | None:
        near = [one for one in speller.lookup(word, Verbosity.ALL, 1) if one.distance == 1]
        if len(near) != 1 or near[0].count < FREQUENT:
            return None
        new = str(near[0].term)
        inflected = word.startswith(new)  # the dictionary lacks encodings, not encoding
        return new if new.isalpha() and new[0] == word[0] and not inflected else None

    return only
