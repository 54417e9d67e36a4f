"""Cleaning: unicode repair, emoji and markup to text, control characters, whitespace. Pure, text in and text out.

It never judges a text; it only says when nothing is left of it. Layout is kept for kinds in which it means something.
"""

import functools
import html
import re
import unicodedata

import emoji

from pipeline import rows
from pipeline.corpus import mojibake
from pipeline.corpus.config import Kind, Markup, Source
from pipeline.rows import Row

_MARKUP: dict[Kind, Markup] = {
    "plays": "markdown",
    "chats": "entities",
    "questions": "entities",
    "code": "none",
    "docs": "none",
}
_LAYOUT: frozenset[Kind] = frozenset({"code", "docs", "questions", "jsonl", "text"})  # kinds whose indentation stays

_EMOJI = re.compile("[\u203c-\u3299\U0001f000-\U0001faff]")
_PICTURES = re.compile("[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]")  # the rest of _EMOJI are signs that text uses
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_RUN_OF_BLANKS = re.compile(r"[ \t]{2,}|\t")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_LEADING = re.compile(r"^[ \t]+", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,31});")

_HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])([*_])(?=\S)(.+?)(?<=\S)\1(?![\w*])", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!>~|])")
_HARD_BREAK = re.compile(r"(?: {2,}|\\)$", re.MULTILINE)


def clean(row: Row, source: Source) -> Row:
    """The row with its text, and each turn of a conversation, cleaned. Turns with nothing left are taken out."""
    text = functools.partial(clean_text, markup=markup_of(source), layout=source.kind in _LAYOUT)
    turns = rows.turns_of(row["meta"])
    if not turns:
        return Row(id=row["id"], source=row["source"], text=text(row["text"]), meta=row["meta"])
    facts = rows.facts_of(row["meta"])
    facts["turns"] = [turn | {"text": said} for turn in turns if (said := text(turn["text"]))]
    return Row(id=row["id"], source=row["source"], text=rows.render(facts["turns"]), meta=rows.pack_meta(**facts))


def markup_of(source: Source) -> Markup:
    """The markup of a source's records, where auto decides by kind."""
    return _MARKUP.get(source.kind, "none") if source.markup == "auto" else source.markup


def clean_text(text: str, markup: Markup, layout: bool) -> str:
    """All steps, in order. ASCII, which most text is, skips those that cannot change it."""
    if markup == "markdown":
        text = unmark(text)
    if markup != "none" and "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if not text.isascii():
        text = name_emoji(repair(text))
    return tidy(text, layout)


def repair(text: str) -> str:
    """Lone surrogates replaced, mojibake undone where it is suspected, and NFC."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return unicodedata.normalize("NFC", mojibake.undo(text))


def name_emoji(text: str) -> str:
    """Emoji to their English names in parentheses; signs that are also text (``(c)``, arrows) stay as they are."""
    if not _EMOJI.search(text):
        return text
    return emoji.replace_emoji(text, _name)


def _name(characters: str, facts: dict[str, str]) -> str:
    if not _PICTURES.search(characters):
        return characters
    return f"({facts['en'].strip(':').replace('_', ' ')})"


def unmark(text: str) -> str:
    """Markdown to the text that a reader sees."""
    text = _HARD_BREAK.sub("", text)
    text = _RULE.sub("", text)
    text = _HEADING.sub(r"\1", text)
    text = _QUOTE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _STRONG.sub(r"\2", text)
    text = _EMPHASIS.sub(r"\2", text)
    return _ESCAPE.sub(r"\1", text)


def tidy(text: str, layout: bool) -> str:
    """Line ends, control characters and blanks. With ``layout`` the indentation and runs of blanks stay."""
    text = _LINE_ENDS.sub("\n", text)
    text = _CONTROL.sub("", text)
    if not text.isascii():
        text = _BLANKS.sub(" ", text)
    if not layout:
        text = _LEADING.sub("", _RUN_OF_BLANKS.sub(" ", text))
    text = _TRAILING.sub("", text)
    return _EMPTY_LINES.sub("\n\n", text).strip("\n" if layout else None)
