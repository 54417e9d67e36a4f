"""The sha256 of what a piece says: logical rows, not the bytes of parquet or zstd. Knows no file."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no blanks: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def of_bytes(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def of_json(value: object) -> str:
    return of_bytes(canonical(value))


def of_table(table: "pa.Table") -> str:
    """A table's columns in schema order: name, type, lengths and values, whatever the chunks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digest = hashlib.sha256()
    for name in table.column_names:
        column: Any = table[name]
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        kind = "text" if text else str(column.type) if number else "json"
        digest.update(canonical([name, kind, len(column), column.null_count]))
        if column.null_count:
            digest.update(column.is_null().to_numpy().tobytes())
        if text:
            words = column.fill_null("")
            digest.update(pc.binary_length(words).to_numpy().astype("<i8").tobytes())
            for chunk in words.chunks:
                digest.update("".join(chunk.to_pylist()).encode())
        elif number:
            digest.update(column.fill_null(0).to_numpy().tobytes())
        else:
            digest.update(canonical(column.to_pylist()))
    return digest.hexdigest()
