"""Files that are one tree of many records: chats, questions, topics. Shared by readers.

Bytes that are not UTF-8 cost the records that hold them, not the file; only where the rest is then no tree any more,
the whole file is set aside as one record. A tree is held whole: these files are no larger than a package.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from pipeline import rows
from pipeline.corpus import records
from pipeline.corpus.inflate import Stream
from pipeline.corpus.readers import whole
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw
from pipeline.rows import Row, Turn

BROKEN = (ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError, MemoryError, yaml.YAMLError)
"""What parsers raise for a file that is not what its kind says; Python's own, MemoryError where it nests too deep."""

LARGEST = 2**28  # bytes of a file

Said = tuple[str, list[Turn] | None, dict[str, Any]]
"""A record as text, its turns and the facts beside them; None in place of turns where it is not a conversation."""

Parse = Callable[[bytes | str, str], Iterator[Said]]
"""A file's content and the mark that stands for bytes that are not UTF-8 -> records. Raises one of BROKEN."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what the error handler surrogateescape makes of such bytes


def read(source: Source, stream: Stream, limit: int, parse: Parse) -> Iterator[Raw]:
    """The records of a file; one set aside where the file is not what its kind says."""
    data = whole.take(source.name, stream, LARGEST)
    if not isinstance(data, bytes):
        yield data
        return
    mark, reason = "", f"not_{source.kind}"
    try:
        found = list(parse(data, mark))  # all of them, so that a file that cannot be parsed gives none
    except BROKEN:
        text, mark = _marked(data)
        try:
            found = list(parse(text, mark)) if mark else []
        except BROKEN:
            reason, found = "invalid_utf8", []
        if not found:
            at = _first(text, mark) if mark else 0
            yield records.unreadable(source.name, rows.document_id(source.name, data), reason, at, data, "byte 0")
            return
    for number, said in enumerate(found):
        yield from _record(source.name, said, limit, mark, f"row {number}")


def _marked(data: bytes) -> tuple[str, str]:
    """The text, each byte that is not UTF-8 replaced by a mark that is nowhere else in it, and the mark; "" if none."""
    text = data.decode(errors="surrogateescape")
    if not _NOT_UTF8.search(text):
        return text, ""
    private = map(chr, range(0xE000, 0xF900))  # not a surrogate: YAML takes none
    mark = next(character for character in private if character not in text)
    return _NOT_UTF8.sub(mark, text), mark


def _first(text: str, mark: str) -> int:
    """The byte at which the first mark stands."""
    return len(text.partition(mark)[0].encode())


def _record(source: str, said: Said, limit: int, mark: str, where: str) -> Iterator[Raw]:
    text, turns, facts = said
    if mark and mark in text:
        record = text.replace(mark, "\ufffd").encode(errors="surrogatepass")  # no id depends on which mark was free
        document = rows.document_id(source, record)
        yield records.unreadable(source, document, "invalid_utf8", _first(text, mark), record, where)
        return
    record = text.encode(errors="surrogatepass")
    document = rows.document_id(source, record)
    if turns is None:
        yield from records.text(source, record, document, limit, where)
    elif len(record) > limit:
        yield records.too_long(source, document, len(record), record, where)
    else:
        yield Row(id=document, source=source, text=rows.render(turns), meta=rows.pack_meta(turns=turns, **facts))
