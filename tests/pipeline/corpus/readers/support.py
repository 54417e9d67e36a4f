"""Files of each kind for the tests of readers, and how they are read."""

import bz2
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.corpus.extract import extract
from pipeline.corpus.locate import units
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw

LIMIT = 100_000

PACK = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    ".bz2": bz2.compress,
}


def read(path: Path, kind: str, group_bytes: int = 50_000, limit: int = LIMIT, **settings: Any) -> list[Raw]:
    """All records of a source."""
    source = Source.model_validate({"name": "s", "kind": kind, "path": str(path), **settings})
    return [raw for unit in units([source], group_bytes) for raw in extract(source, unit, limit)]


def texts(found: list[Raw]) -> list[str]:
    """What each record gave: its text, or why it was set aside."""
    return [raw["reason"] if "reason" in raw else raw["text"] for raw in found]


def reasons(found: list[Raw]) -> list[str]:
    return [raw["reason"] for raw in found if "reason" in raw]


def table(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def page(text: str, title: str = "Title") -> str:
    """A page with more on it than its text."""
    return (
        f"<html><head><title>{title}</title></head><body><nav><ul><li><a href='/'>Home</a></ul></nav>"
        f"<main><h1>Head</h1><p>{text}</p></main><footer>Imprint</footer></body></html>"
    )


def http(body: bytes, status: str = "200 OK", kind: str = "text/html; charset=utf-8", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body


def record(
    body: bytes, kind: str = "response", content: str = "application/http; msgtype=response", length: int | None = None
) -> bytes:
    """A record of a web archive."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        f"WARC-Target-URI: https://example.org/{len(body)}\r\nContent-Type: {content}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"
