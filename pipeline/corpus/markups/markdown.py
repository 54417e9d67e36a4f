"""CommonMark, with its entities, to the text that a reader sees. Pure; knows no source."""

import re
from collections.abc import Callable

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.marks import entities

_CODE = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)[^\n]*\n(?s:.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)|`[^`\n]+`", re.MULTILINE)
_COMMENT = re.compile(r"<!--(?s:(?:(?!<!--).){0,5000}?)-->")
_BREAK = re.compile(r"<br ?/?>\n?", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.*)$", re.MULTILINE)
_STRONG = re.compile(r"\*\*(?=[^\s*])((?:[^*\n]|\*(?!\*)|\n(?![ \t]*\n))+)(?<=\S)\*\*")
_STRONG_WORDS = re.compile(r"__(?<!\w__)(?=[^\s_])((?:[^_\n]|_(?!_)|\n(?![ \t]*\n))+)(?<=\S)__(?!\w)")
_EMPHASIS = re.compile(r"\*(?<![\w*]\*)(?=[^\s*])((?:[^*\n]|\n(?![ \t]*\n))+)(?<=\S)\*(?![\w*])")
_EMPHASIS_WORDS = re.compile(r"_(?<![\w*]_)(?=[^\s_])((?:[^_\n]|(?<=\w)_(?=\w)|\n(?![ \t]*\n))+)(?<=\S)_(?![\w*])")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\n]|\([^()\n]*\)){0,2000}\)")
_REFERENCE = re.compile(r"!?\[([^\[\]\n]+)\]\[[^\[\]\n]*\]")
_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]+\]:[ \t]*\S+(?:[ \t]+[\"'(][^\n]*)?\n?", re.MULTILINE)
_ADDRESS = re.compile(r"<(https?://[^\s<>]{1,2000})>")
_RULE = re.compile(r"^[ \t]*(?:([-*_])(?:[ \t]*\1){2,}|={3,})[ \t]*$|^(?=[^\n]*---)[ \t:|-]+$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!>~|])")
_HARD_BREAK = re.compile(r"\\$", re.MULTILINE)  # or two blanks, which go anyway
_IDENTIFIER = re.compile(r"\w+\Z")


def undo(text: str, config: CleaningConfig) -> tuple[str, list[tuple[str, str]]]:
    """The plain text; code, in fences or backticks, stays with its marks. Only marks go, so nothing is told."""
    return outside_code(text, _plain), []


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """A change made to all of a Markdown text but its code."""
    made, end = [], 0
    for found in _CODE.finditer(text) if "`" in text or "~~~" in text else ():
        made += [change(text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*made, change(text[end:])])


def _plain(text: str) -> str:
    text = entities(text)
    text = _BREAK.sub("\n", _COMMENT.sub("", text)) if "<" in text else text
    text = _HARD_BREAK.sub("", text)
    text = _RULE.sub("", text)
    text = _HEADING.sub(lambda found: found[1].rstrip(" \t#"), text)
    text = _QUOTE.sub("", text)
    if "[" in text:
        text = _DEFINITION.sub("", _REFERENCE.sub(r"\1", _LINK.sub(r"\1", text)))
    text = _ADDRESS.sub(r"\1", text)
    text = _STRONG.sub(r"\1", text)
    text = _STRONG_WORDS.sub(_but_identifiers, text)
    text = _EMPHASIS.sub(r"\1", text)
    text = _EMPHASIS_WORDS.sub(r"\1", text)
    return _ESCAPE.sub(r"\1", text)


def _but_identifiers(found: re.Match[str]) -> str:
    """``__init__`` is a name, whatever Markdown says."""
    return found[0] if _IDENTIFIER.match(found[1]) else found[1]
