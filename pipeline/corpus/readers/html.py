"""HTML files: each a page, of which the main content is the document."""

from collections.abc import Iterator

from pipeline import rows
from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers import pages, whole
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """The document of the file; its title is one of its facts."""
    body = whole.take(source.name, stream, limit)
    if isinstance(body, bytes):
        yield from pages.read(source.name, body, rows.document_id(source.name, body), "byte 0")
    else:
        yield body
