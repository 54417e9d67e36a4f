"""Rows to Arrow tables and back, with one schema each. Knows no step."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline.rows import Cut, Drop, Row

DOCUMENTS = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("text", pa.large_string()), ("meta", pa.large_string())]
)
DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("step", pa.string()),
        ("reason", pa.string()),
        ("score", pa.float64()),
        ("partner", pa.string()),
        ("cluster", pa.string()),
        ("text", pa.large_string()),
    ]
)
CUTS = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("step", pa.string()),
        ("reason", pa.string()),
        ("count", pa.int64()),
        ("bytes", pa.int64()),
        ("text", pa.large_string()),
    ]
)


def documents(rows: Sequence[Row]) -> pa.Table:
    """Documents in the order given."""
    return pa.Table.from_pylist(list(rows), schema=DOCUMENTS)


def dropped(drops: Sequence[Drop]) -> pa.Table:
    """Drops in the order given."""
    return pa.Table.from_pylist(list(drops), schema=DROPPED)


def cut(cuts: Sequence[Cut]) -> pa.Table:
    """Cuts in the order given."""
    return pa.Table.from_pylist(list(cuts), schema=CUTS)


def pack(table: pa.Table) -> bytes:
    """A table as an Arrow stream, for a part of a piece."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def unpack(data: bytes) -> pa.Table:
    """The table of ``pack``."""
    return pa.ipc.open_stream(data).read_all()


def rows(table: pa.Table) -> list[Row]:
    """The documents of a table."""
    found: list[Row] = table.select(DOCUMENTS.names).to_pylist()
    return found


def concat(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """All rows of some tables; an empty table where there are none."""
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def by_id(table: pa.Table) -> pa.Table:
    """Sorted by id; rows with one id, by the rest of their columns, so that the order is that of the content."""
    return table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()
