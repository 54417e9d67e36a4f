"""Comma-separated values (RFC 4180): the first record names the columns; a quoted field may hold lines and quotes.

A quote that no quote closes would take all that follows into one field. A closing quote must stand before a delimiter
or a line's end, as the RFC says: where one does not, or the file ends first, the line that the record began with is
set aside (``bad_quotes``), and reading goes on with the next one.
"""

import re
from collections.abc import Iterator
from typing import Literal

from pipeline import rows
from pipeline.corpus import inflate, records
from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers.columns import check
from pipeline.corpus.readers.config import Source
from pipeline.corpus.readers.lines import Line, lines
from pipeline.corpus.records import Aside, Raw

State = Literal["done", "open", "bad"]

_TO_QUOTE = re.compile(rb'(?:[^"]++|"")*+"')  # two in a row are one of the field's own
_MARK = b"\xef\xbb\xbf"  # of UTF-8, as spreadsheets write it


class Record:
    """A record, line by line: its fields, and its lines as long as they are no more than the limit."""

    def __init__(self, source: str, at: int, delimiter: bytes, limit: int) -> None:
        self.at, self.size, self.lost = at, 0, False
        self.fields: list[bytes] = []
        self.lines: list[Line] = []
        self._id = rows.begin_id(source)
        self._quoted: list[bytes] | None = None  # the parts of a field whose closing quote is not yet read
        self._end = b""  # of the last line: it belongs to the record if another follows
        self._delimiter, self._limit = delimiter, limit

    @property
    def document(self) -> str:
        """An id for a record that is no document."""
        return self._id.hexdigest()

    @property
    def raw(self) -> bytes:
        return b"".join(line.head + line.end for line in self.lines)

    def add(self, line: Line) -> State:
        """Read one more line. One that is too long to be held ends the record."""
        self._id.update(line.document.encode())
        if self.size <= self._limit:
            self.lines.append(line)
        self.size += len(self._end) + line.size
        self._end, self.lost = line.end, line.lost
        if line.size > self._limit:
            return "done"
        if self.size > self._limit:
            self.fields = []
            self._quoted = [] if self._quoted is not None else None
        if self._quoted is None and b'"' not in line.head:
            self.fields += line.head.split(self._delimiter)
            return "done"
        return self._scan(line)

    def _scan(self, line: Line) -> State:
        said, at, begins = line.head, 0, self._delimiter
        while True:
            if self._quoted is None:
                if said[at : at + 1] == b'"':
                    self._quoted = []
                    at += 1
                else:
                    stop = said.find(begins, at)
                    self.fields.append(said[at : stop if stop >= 0 else len(said)])
                    if stop < 0:
                        return "done"
                    at = stop + len(begins)
                    continue
            closed = _TO_QUOTE.match(said, at)
            if not closed:
                self._quoted += [said[at:], line.end]
                return "open"
            self.fields.append(b"".join([*self._quoted, said[at : closed.end() - 1]]).replace(b'""', b'"'))
            self._quoted = None
            at = closed.end()
            if at == len(said):
                return "done"
            if not said.startswith(begins, at):
                return "bad"
            at += len(begins)


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """A document for each record. Raises SourceError where a column that the source names is not there."""
    columns: list[str] = []
    for record in _records(source, lines(source.name, stream, 0, limit, inflate.longest(stream)), limit):
        if not isinstance(record, Record):
            yield record
            if not columns:
                return  # nobody can say any more what the columns are
        elif not columns:
            columns = [name.decode(errors="replace").strip() for name in record.fields]
            check(source, unit.path, columns)
        else:
            yield from _document(source, columns, record, limit)


def _records(source: Source, found: Iterator[Line], limit: int) -> Iterator[Record | Aside]:
    again: list[Line] = []  # lines to be read once more, the next one last

    def following() -> Line | None:
        return again.pop() if again else next(found, None)

    while line := following():
        if line.at == 0 and line.head.startswith(_MARK):
            line = Line(0, line.head[3:], line.end, line.size - 3, line.document, line.lost)
        if not line.head:
            continue
        record = Record(source.name, line.at, source.delimiter.encode(), limit)
        state = record.add(line)
        while state == "open" and (more := following()):
            state = record.add(more)
        if record.size > limit:
            reason = "endless" if record.lost else "too_long"
            yield _aside(source, record.document, reason, record.size, record.raw, record.at)
        elif state == "done":
            yield record
        else:
            first = record.lines[0]
            yield _aside(source, first.document, "bad_quotes", 0, first.head, first.at)
            again += record.lines[:0:-1]


def _document(source: Source, columns: list[str], record: Record, limit: int) -> Iterator[Raw]:
    if len(record.fields) != len(columns):
        yield _aside(source, record.document, "wrong_fields", len(record.fields), record.raw, record.at)
        return
    raw = records.mapped(source.fields, dict(zip(columns, record.fields, strict=True)))
    try:
        found = {ours: value.decode() for ours, value in raw.items()}
    except UnicodeDecodeError as error:
        yield _aside(source, record.document, "invalid_utf8", error.start, record.raw, record.at)
        return
    held = records.canonical(found)
    document = rows.document_id(source.name, held)
    yield from records.named(source.name, found, document, held, limit, f"byte {record.at}")


def _aside(source: Source, document: str, reason: str, score: float, record: bytes, at: int) -> Aside:
    return records.aside(source.name, document, reason, float(score), record, f"byte {at}")
