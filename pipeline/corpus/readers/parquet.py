"""Parquet tables: each row a record, its text and facts in the columns that the source's ``fields`` name.

Read by row group, so that several tasks share a file, and inside it page by page. A text may be of any type that holds
strings: string, large_string, string_view, binary, or a dictionary of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import rows
from pipeline.corpus import records
from pipeline.corpus.inflate import Damaged
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers.columns import check
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw

_BATCH_BYTES = 4_000_000  # what is decoded in one go, by a row group's own account
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError, OverflowError)


def read(source: Source, stream: Any, unit: Unit, limit: int) -> Iterator[Raw]:
    """The rows of the row groups that begin inside the unit. Raises SourceError for a column that is not there."""
    try:
        file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        columns = file.schema_arrow.names
    except _BROKEN as error:
        if unit.start == 0:  # the other units of the file need not say it again
            raise Damaged(*_why(stream)) from error
        return
    check(source, unit.path, columns)
    last, first = stream.seek(0, 2) - 1, 0
    for number, group in enumerate(groups):
        if unit.start <= max(0, min(_begin(group), last)) < unit.end:
            yield from _rows(source, file, number, first, limit)
        first += group.num_rows


def _why(stream: Any) -> tuple[str, int]:
    """What is wrong with a file whose end says nothing of it, and from which byte on: it began as it must, or not."""
    stream.seek(0)
    return ("truncated", stream.seek(0, 2)) if stream.read(4) == b"PAR1" else ("not_parquet", 0)


def _begin(group: Any) -> int:
    """The byte at which a row group begins."""
    chunks = [group.column(i) for i in range(group.num_columns)]
    return min((chunk.dictionary_page_offset or chunk.data_page_offset for chunk in chunks), default=0)


def _rows(source: Source, file: Any, number: int, first: int, limit: int) -> Iterator[Raw]:
    """The rows of a row group. Where it cannot be decoded, those before; then the others, set aside as one."""
    group = file.metadata.row_group(number)
    size = max(1, min(4096, _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size)))
    at, behind = first, first + group.num_rows
    try:
        batches = file.iter_batches(size, row_groups=[number], columns=sorted(set(source.fields.values())))
        for batch in batches:
            for row in _decoded(batch):
                yield from _record(source, row, limit, f"row {at}")
                at += 1
    except _BROKEN:
        document = rows.document_id(source.name, f"rows {at} to {behind}".encode())
        left = behind - at
        yield records.aside(source.name, document, "damaged", float(left), b"", f"row {at}", left)


def _decoded(batch: Any) -> list[dict[str, Any] | bytes]:
    """The rows of a batch; of one that holds a string that is not UTF-8, the bytes of its strings."""
    times = {i for i, kind in enumerate(batch.schema.types) if pa.types.is_temporal(kind)}  # Python has no nanoseconds
    columns = [column.cast(pa.string()) if i in times else column for i, column in enumerate(batch.columns)]
    plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    try:
        found: list[dict[str, Any] | bytes] = plain.to_pylist()
        return found
    except UnicodeDecodeError:
        return [_row(plain.slice(i, 1)) for i in range(len(plain))]


def _row(row: Any) -> dict[str, Any] | bytes:
    try:
        (found,) = row.to_pylist()
        return dict(found)
    except UnicodeDecodeError:
        plain = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in row.columns]
        words = [c.cast(pa.large_binary())[0].as_py() for c in plain if _holds_strings(c.type)]
        return b"\0".join(word for word in words if word is not None)


def _holds_strings(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _record(source: Source, row: dict[str, Any] | bytes, limit: int, where: str) -> Iterator[Raw]:
    try:
        if isinstance(row, bytes):
            row = {"text": row.decode()}  # raises, always: some string of the row is not UTF-8
        found = records.mapped(source.fields, row)
        if isinstance(found.get("text"), bytes):
            found["text"] = found["text"].decode()
    except UnicodeDecodeError as error:
        bad = error.object
        yield records.unreadable(
            source.name, rows.document_id(source.name, bad), "invalid_utf8", error.start, bad, where
        )
        return
    held = records.canonical(found)
    document = rows.document_id(source.name, held)
    if len(held) > limit:
        yield records.too_long(source.name, document, len(held), held, where)
    else:  # times and decimals as words
        yield from records.named(source.name, json.loads(held), document, held, limit, where)
