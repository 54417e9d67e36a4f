"""What becomes of one record that was read: a raw document, or a drop with its reason. Knows no file and no format."""

from collections.abc import Iterator

from pipeline import rows
from pipeline.rows import Drop, Row

Raw = Row | Drop


def drop(source: str, document: str, step: str, reason: str, score: float, text: str, partner: str = "") -> Drop:
    """A drop with as much of its text as is kept for a reader."""
    kept = text[: rows.DROPPED_TEXT_CHARACTERS]
    return Drop(id=document, source=source, step=step, reason=reason, score=score, partner=partner, text=kept)


def too_long(source: str, document: str, size: int, head: bytes) -> Drop:
    """A record of ``size`` bytes, more than the limit; its first bytes are for a reader."""
    return drop(source, document, "read", "too_long", float(size), _glance(head))


def unreadable(source: str, document: str, reason: str, at: int, record: bytes) -> Drop:
    """A record that cannot be used as it stands, and the byte from which on it cannot; 0 where that says nothing."""
    return drop(source, document, "read", reason, float(at), _glance(record))


def text(source: str, record: bytes, document: str, limit: int) -> Iterator[Raw]:
    """One record of plain text; a string of a tree comes here as UTF-8 as well."""
    if len(record) > limit:
        yield too_long(source, document, len(record), record)
        return
    try:
        yield Row(id=document, source=source, text=record.decode(), meta="")
    except UnicodeDecodeError as error:
        yield unreadable(source, document, "invalid_utf8", error.start, record)


def _glance(record: bytes) -> str:
    return record[: 4 * rows.DROPPED_TEXT_CHARACTERS].decode(errors="replace")
