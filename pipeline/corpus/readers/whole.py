"""Files that are one record each. Shared by readers."""

from collections.abc import Iterator
from typing import Any

from pipeline import rows
from pipeline.corpus import inflate, records
from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Aside, Raw

_CHUNK = 1 << 20


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """The file as a document of plain text."""
    held = take(source.name, stream, limit)
    if isinstance(held, bytes):
        yield from records.text(source.name, held, rows.document_id(source.name, held), limit, "byte 0")
    else:
        yield held


def take(source: str, stream: Stream, limit: int) -> bytes | Aside:
    """All bytes of a stream; set aside where they are more than the limit, and only the first are held."""
    running: Any = rows.begin_id(source)
    head: list[bytes] = []
    size, longest = 0, inflate.longest(stream)
    while size <= longest and (chunk := stream.read(_CHUNK)):
        running.update(chunk)
        if size <= limit:
            head.append(chunk)
        size += len(chunk)
    if size <= limit:
        return b"".join(head)
    reason = "too_long" if size <= longest else "endless"
    return records.aside(source, running.hexdigest(), reason, float(size), b"".join(head), "byte 0")
