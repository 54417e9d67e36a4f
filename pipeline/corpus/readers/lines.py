"""Lines of a stream, however long: of one longer than the limit only its first bytes are held. Shared by readers."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline import rows
from pipeline.corpus.inflate import Stream

CHUNK = 1 << 20  # bytes read in one go


@dataclass(frozen=True, slots=True)
class Line:
    """A line: the byte at which it begins, at most ``limit + 1`` bytes of it, the end that it has, and its length.

    ``document`` is its id. ``lost`` says that it goes on past any length that is still looked at.
    """

    at: int
    head: bytes
    end: bytes
    size: int
    document: str
    lost: bool = False


class _Open:
    """A line whose end is not yet read."""

    def __init__(self, source: str, at: int, limit: int) -> None:
        self._id = rows.begin_id(source)
        self._head: list[bytes] = []
        self._room = limit + 1
        self._held = b""  # a carriage return: part of the line's end, unless more follows
        self.at, self.size = at, 0

    def add(self, piece: bytes) -> None:
        piece = self._held + piece
        body = piece.removesuffix(b"\r")
        self._held = piece[len(body) :]
        self._id.update(body)
        self._head.append(body[: self._room])
        self._room -= len(self._head[-1])
        self.size += len(body)

    def close(self, end: bytes, lost: bool = False) -> Line:
        return Line(self.at, b"".join(self._head), self._held + end, self.size, self._id.hexdigest(), lost)


def lines(source: str, stream: Stream, at: int, limit: int, longest: float) -> Iterator[Line]:
    """The lines of a stream that stands at byte ``at``. One without an end after ``longest`` bytes is the last."""
    line: _Open | None = None
    while chunk := stream.read(CHUNK):
        begin = 0
        while (stop := chunk.find(b"\n", begin)) >= 0:
            if line:
                line.add(chunk[begin:stop])
                yield line.close(b"\n")
                line = None
            else:
                yield _whole(source, at + begin, chunk[begin : stop + 1], limit)
            begin = stop + 1
        if begin < len(chunk):
            line = line or _Open(source, at + begin, limit)
            line.add(chunk[begin:])
            if line.size > longest:
                yield line.close(b"", lost=True)
                return
        at += len(chunk)
    if line:
        yield line.close(b"")


def _whole(source: str, at: int, line: bytes, limit: int) -> Line:
    body = line[:-1].removesuffix(b"\r")
    return Line(at, body[: limit + 1], line[len(body) :], len(body), rows.document_id(source, body))
