"""Web archives (WARC 1.0 and 1.1, ISO 28500): the pages that a crawler stored, with their address and date.

A document is a record of type response (HTTP status 200) or resource that holds HTML, or one of type conversion that
holds plain text. All other records, such as requests, images, redirects and revisits, hold no page: they are passed
over, and counted by cause, neither as documents nor as records set aside. Records are framed here, so that one that is
broken or too long costs itself and no other; fastwarc reads the heads and the HTTP message of one record.
"""

import re
from collections.abc import Iterator

from fastwarc.warc import WarcRecord

from pipeline import rows
from pipeline.corpus import inflate, records
from pipeline.corpus.inflate import Damaged, Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers import pages
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw

_CHUNK = 1 << 18
_HEAD = 1 << 16  # bytes that the heads of a record, its own and HTTP's, may each have
_HTML = ("text/html", "application/xhtml+xml")

_BEGIN = re.compile(rb"(?<=\n)WARC/1\.\d")
_BLANKS = re.compile(rb"[\r\n]*")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_TYPE = re.compile(rb"^WARC-Type:[ \t]*([\w-]{1,40})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_OF_PAGES = ("response", "resource", "conversion")


class _Window:
    """A stream whose next bytes can be looked at before they are passed. ``at`` is the byte where it stands."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._held, self._begin = b"", 0
        self._damage: Damaged | None = None  # told when all before it is used
        self.at = 0

    def peek(self, size: int) -> bytes:
        """The next bytes, so many or all that there are."""
        parts, missing = [self._held[self._begin :]], size - (len(self._held) - self._begin)
        if missing > 0:
            try:
                while missing > 0 and not self._damage and (more := self._stream.read(max(_CHUNK, missing))):
                    parts.append(more)
                    missing -= len(more)
            except Damaged as damage:
                self._damage = damage
            self._held, self._begin = b"".join(parts), 0
        return self._held[self._begin : self._begin + size]

    def skip(self, size: int) -> bool:
        """Pass so many bytes; False where there are fewer."""
        while size > 0:
            step = len(self.peek(min(size, _CHUNK)))
            if not step:
                return False
            self._begin += step
            self.at += step
            size -= step
        return True

    def to_record(self) -> None:
        """Go to the next record behind something that is none, or to the end."""
        while seen := self.peek(_CHUNK):
            if found := _BEGIN.search(seen, 1):
                self.skip(found.start())
                return
            self.skip(max(1, len(seen) - 8))  # a begin may be cut by the window

    def ended(self) -> Damaged:
        """What to say of a record that the end of the stream cuts."""
        return self._damage or Damaged("truncated", self.at)

    def check(self) -> None:
        """Raises Damaged where the stream ended because of a damage."""
        if self._damage:
            raise self._damage


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw | str]:
    """A document for each page, with url, date and title; of other records, what they are."""
    window, longest = _Window(stream), inflate.longest(stream)
    while seen := window.peek(_HEAD):
        if blanks := _BLANKS.match(seen):
            window.skip(blanks.end())
        at = window.at
        head = window.peek(_HEAD)
        end = _BLANK_LINE.search(head)
        length = _LENGTH.search(head, 0, end.start() + 1) if end else None
        if not head.startswith(b"WARC/") or not end or not length:
            if not head:
                break
            if not at and not head.startswith(b"WARC/"):
                raise Damaged("not_warc", 0, head)
            if head.startswith(b"WARC/") and not end and len(head) < _HEAD:
                raise window.ended()
            document = rows.document_id(source.name, head[:_CHUNK])
            yield records.unreadable(source.name, document, "broken_record", 0, head, f"byte {at}")
            window.to_record()
            continue
        size = int(length[1])
        window.skip(end.end())
        if size > longest:
            document = rows.document_id(source.name, head)
            yield records.aside(source.name, document, "endless", float(size), head, f"byte {at}")
            return
        said = _TYPE.search(head, 0, end.start() + 1)
        kind = said[1].decode().lower() if said else "without a type"
        if kind in _OF_PAGES:
            body = window.peek(min(size, limit + _HEAD))
            if len(body) < min(size, limit + _HEAD):
                raise window.ended()
            yield from _page(source.name, head[: end.end()] + body, size, limit, f"byte {at}")
        else:
            yield f"records {kind}"
        if not window.skip(size):
            raise window.ended()
    window.check()


def _page(source: str, data: bytes, size: int, limit: int, where: str) -> Iterator[Raw | str]:
    """The document of a record, or what else it holds; of its ``size`` bytes, at most the first are there."""
    try:
        record = WarcRecord.from_bytes(data)
        record.parse_http(auto_decode="all")
        kind, page = _kind(record)
        if not page:
            yield kind
            return
        body = record.reader.read(limit + 1)
    except (OSError, ValueError):
        yield records.unreadable(source, rows.document_id(source, data), "bad_message", 0, data, where)
        return
    document = rows.document_id(source, body)
    if max(len(body), size - _HEAD) > limit:
        yield records.too_long(source, document, max(len(body), size), body, where)
        return
    facts = {"url": _said(record, "WARC-Target-URI").strip("<>"), "date": _said(record, "WARC-Date")}
    if kind in _HTML:
        yield from pages.read(source, body, document, where, record.http_charset or "", **facts)
    else:
        yield from records.text(source, body, document, limit, where, records.pack(facts))


def _kind(record: WarcRecord) -> tuple[str, bool]:
    """The media type of what a record holds, or its status, and whether that is a page. Raises ValueError."""
    what = _said(record, "WARC-Type").lower()
    if record.is_http:
        if record.http_headers is None or record.http_headers.status_code is None:
            raise ValueError("no HTTP message")
        if record.http_headers.status_code != 200:
            return f"HTTP status {record.http_headers.status_code}", False
        kind = record.http_content_type or ""
    else:
        kind = _said(record, "Content-Type").partition(";")[0].strip().lower()
    return kind[:40] or "no media type", kind in _HTML or (kind, what) == ("text/plain", "conversion")


def _said(record: WarcRecord, name: str) -> str:
    return (record.headers.get(name) or "").strip()
