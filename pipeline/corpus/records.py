"""What becomes of one record that was read: a raw document, or one set aside with its reason. Knows no file, no format.

A reader says where in its file a record stands, as ``byte N`` or ``row N``; extract puts the file's path before it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, final

from pipeline import rows
from pipeline.rows import Drop, DropKeys, Row


@final
class Aside(DropKeys):
    """A record set aside: a Drop, where it stands, and how many records it speaks for, where that is known.

    The place is for a reader; it belongs to no digest.
    """

    where: NotRequired[str]
    records: NotRequired[int]


Raw = Row | Aside

_SURROGATE = re.compile("[\ud800-\udfff]")


def drop(
    source: str, document: str, step: str, reason: str, score: float, text: str, partner: str = "", cluster: str = ""
) -> Drop:
    """A drop with as much of its text as is kept for a reader."""
    kept = text[: rows.DROPPED_TEXT_CHARACTERS]
    return Drop(
        id=document, source=source, step=step, reason=reason, score=score, partner=partner, cluster=cluster, text=kept
    )


def aside(source: str, document: str, reason: str, score: float, record: bytes, where: str, count: int = 1) -> Aside:
    """A record that cannot be used, or so many; of it, only the first bytes need be there."""
    text = record[: 4 * rows.DROPPED_TEXT_CHARACTERS].decode(errors="replace")
    return Aside(**drop(source, document, "read", reason, score, text), where=where, records=count)


def too_long(source: str, document: str, size: int, head: bytes, where: str) -> Aside:
    """A record of ``size`` bytes, more than the limit."""
    return aside(source, document, "too_long", float(size), head, where)


def unreadable(source: str, document: str, reason: str, at: int, record: bytes, where: str) -> Aside:
    """A record that cannot be used as it stands, and the byte from which on it cannot; 0 where that says nothing."""
    return aside(source, document, reason, float(at), record, where)


def text(source: str, record: bytes, document: str, limit: int, where: str, meta: str = "") -> Iterator[Raw]:
    """One record of plain text; a string of a tree comes here as UTF-8 as well."""
    if len(record) > limit:
        yield too_long(source, document, len(record), record, where)
        return
    try:
        yield Row(id=document, source=source, text=record.decode(), meta=meta)
    except UnicodeDecodeError as error:
        yield unreadable(source, document, "invalid_utf8", error.start, record, where)


def mapped(fields: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """Our names -> what a record holds under its own; a name with dots is looked for whole, then level by level."""
    found = {}
    for ours, theirs in fields.items():
        value: Any = record.get(theirs)
        if value is None and "." in theirs:
            value = record
            for name in theirs.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            found[ours] = value
    return found


def named(source: str, found: Mapping[str, Any], document: str, record: bytes, limit: int, where: str) -> Iterator[Raw]:
    """One record with named fields: its text, and the others as facts. ``record`` is the evidence if it is none."""
    said = found.get("text")
    if isinstance(said, str):
        facts = {"key" if ours == "id" else ours: value for ours, value in found.items() if ours != "text"}
        yield from text(source, said.encode(errors="surrogatepass"), document, limit, where, pack(facts))
    else:
        reason = "no_text_field" if said is None else "text_not_string"
        yield unreadable(source, document, reason, 0, record, where)


def pack(facts: Mapping[str, Any]) -> str:
    """Facts as a meta; a lone surrogate, which no file can hold, becomes U+FFFD."""
    return _SURROGATE.sub("\ufffd", rows.pack_meta(**facts))


def canonical(found: Mapping[str, Any]) -> bytes:
    """Named fields as the bytes that an id is made of: JSON with sorted keys; what JSON has no type for, as words."""
    said = json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return said.encode(errors="surrogatepass")
