"""What is markup in any text: entities, links to addresses, bold between ``**``. Pure; knows no source."""

import re

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.marks import entities

_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_SAFE_LINK = re.compile(r"!?\[([^\[\]\n]{1,500})\]\((?:https?://|mailto:)[^()\s]{1,2000}\)")
_SAFE_STRONG = re.compile(r"\*\*(?<![\w*]\*\*)(?=[^\s*])([^*\n]{1,200})(?<=\S)\*\*(?![\w*])")


def undo(text: str, config: CleaningConfig) -> tuple[str, list[tuple[str, str]]]:
    """The text without what is surely a mark; nothing that was meant to be read goes, so nothing is told.

    A text that shows tags is about markup: its entities are its subject, and stay.
    """
    if "&" in text and not _TAG.search(text):
        text = entities(text)
    if "](" in text:
        text = _SAFE_LINK.sub(r"\1", text)
    return (_SAFE_STRONG.sub(r"\1", text) if "**" in text else text), []
