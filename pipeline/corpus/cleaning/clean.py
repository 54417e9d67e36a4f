"""Cleaning: unicode, markup, pictures, whitespace, private facts. Pure, text in and text out.

It never judges a text; it only says when nothing is left of it. What it takes out is told as cuts. A markup is a module
of ``markups``, found by its name. The order: repair and normal form, so that each later step sees characters as a
reader does; markup to text; pictures to words; blanks; private facts to placeholders. They are repeated until nothing
changes (an entity may hide another mark), so cleaning what is clean changes nothing. Combining marks, joiners and text
from right to left stay.
"""

import functools
import importlib
import importlib.util
import re
import unicodedata
from dataclasses import dataclass
from types import ModuleType

from pipeline import rows
from pipeline.corpus.cleaning import mojibake, pictures, privacy
from pipeline.corpus.cleaning.config import CleaningConfig, PrivateKind
from pipeline.corpus.readers.config import Kind, Markup, Source
from pipeline.rows import Cut, Row

ROUNDS = 16  # real text is clean after two; a mark hidden deeper stays

_MARKUP: dict[Kind, Markup] = {
    "plays": "markdown",
    "markdown": "markdown",
    "chats": "entities",
    "questions": "entities",
}
_FLOWING: frozenset[Kind] = frozenset({"plays", "chats"})  # kinds in which indentation and runs of blanks say nothing
_CODE: frozenset[Kind] = frozenset({"code", "docs"})  # kinds in which ":)" is no face

_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_ASCII_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_EMPTY_LINES = re.compile(r"\n{3,}")


def _marks() -> str:
    """The characters that combine with one before them, as the inside of a character class."""
    points = [point for point in range(0x300, 0x1F000) if unicodedata.combining(chr(point))]
    return "".join(map(chr, points))


_STACK = re.compile(f"([{_marks()}]{{31,}})")  # more marks on a letter than UAX #15 lets text have (section 13)


@dataclass(frozen=True)
class Manner:
    """How the texts of a source are cleaned."""

    markup: Markup
    layout: bool  # whether indentation means something
    prose: bool  # no code: pictures become words
    private: tuple[PrivateKind, ...]


Taken = list[tuple[str, str]]  # reason, and the characters that are gone


def clean(row: Row, source: Source, config: CleaningConfig) -> tuple[Row, list[Cut]]:
    """The row with its text, and each turn of a conversation, cleaned. Turns with nothing left are taken out."""
    manner = manner_of(source, config)
    taken: Taken = []
    turns = rows.turns_of(row["meta"]) if '"turns"' in row["meta"] else []
    if turns:
        facts = rows.facts_of(row["meta"])
        said = ((turn, clean_text(turn["text"], manner, config, taken)) for turn in turns)
        facts["turns"] = [turn | {"text": text} for turn, text in said if text]
        text, meta = rows.render(facts["turns"]), rows.pack_meta(**facts)
    else:
        text, meta = clean_text(row["text"], manner, config, taken), row["meta"]
    return Row(id=row["id"], source=row["source"], text=text, meta=meta), cuts(row, taken)


def manner_of(source: Source, config: CleaningConfig) -> Manner:
    """Where the source says ``auto``, its kind decides."""
    private = source.privacy == "on" or (source.privacy == "auto" and source.kind != "code")
    return Manner(
        markup=_MARKUP.get(source.kind, "none") if source.markup == "auto" else source.markup,
        layout=source.kind not in _FLOWING,
        prose=source.kind not in _CODE,
        private=config.privacy.kinds if private else (),
    )


def cuts(row: Row, taken: Taken) -> list[Cut]:
    """One for each reason, in order of reason; the evidence of a private fact is its shape."""
    made = []
    for reason in sorted({reason for reason, _ in taken}):
        gone = [text for why, text in taken if why == reason]
        size = sum(len(text.encode(errors="surrogatepass")) for text in gone)
        first = (privacy.shape(gone[0]) if reason in privacy.PLACEHOLDERS else gone[0])[: rows.CUT_TEXT_CHARACTERS]
        facts = {"step": "clean", "reason": reason, "count": len(gone), "bytes": size, "text": first}
        made.append(Cut(id=row["id"], source=row["source"], **facts))  # type: ignore[typeddict-item]
    return made


def clean_text(text: str, manner: Manner, config: CleaningConfig, taken: Taken) -> str:
    """One text; what is cut out of it is added to ``taken``."""
    for _ in range(ROUNDS):
        before = text
        text = _once(text, manner, config, taken)
        if text == before or (manner.markup == "none" and text.isascii()):  # plain ASCII is clean after one round
            break
    return text


def _once(text: str, manner: Manner, config: CleaningConfig, taken: Taken) -> str:
    text = normal(text, config.mojibake)
    markup = _module(manner.markup)
    if markup:
        text, gone = markup.undo(text, config)
        taken += gone
    if manner.prose:
        named = functools.partial(_named, config=config)
        outside_code = getattr(markup, "outside_code", None)
        text = outside_code(text, named) if outside_code else named(text)
    text = tidy(text, manner.layout)
    return privacy.mask(text, manner.private, taken) if manner.private else text


@functools.cache
def _module(markup: Markup) -> ModuleType | None:
    """The module that undoes a markup; there is none for what is plain here (HTML is undone where it is read)."""
    name = f"pipeline.corpus.markups.{markup}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def _named(text: str, config: CleaningConfig) -> str:
    if config.emoji and not text.isascii():
        text = pictures.name_emoji(text)
    return pictures.name_emoticons(text) if config.emoticons else text


def normal(text: str, repair: bool) -> str:
    """Mojibake undone where it is suspected; line ends; no control or direction marks; NFC. Blanks are ASCII's."""
    if text.isascii():  # which most text is
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return _ASCII_CONTROL.sub("", text)
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # lone surrogates
    if repair:
        text = mojibake.undo(text)
    text = _CONTROL.sub("", _LINE_ENDS.sub("\n", text))
    return _BLANKS.sub(" ", compose(text))


def compose(text: str) -> str:
    """NFC, but for stacks of more than 30 marks: ordering one takes time that grows with its square."""
    if not _STACK.search(text):
        return unicodedata.normalize("NFC", text)
    return "".join(part if i % 2 else unicodedata.normalize("NFC", part) for i, part in enumerate(_STACK.split(text)))


def tidy(text: str, layout: bool) -> str:
    """Blanks at the ends of lines, and empty lines. Without ``layout``, indentation and runs of blanks too."""
    if not layout:
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    elif " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    return text.strip("\n" if layout else None)
