"""Compressed files as streams of bounded memory: .gz of many members, .zst of many frames, .bz2. Knows no record.

A damaged file gives all that stands before the damage; then ``Damaged`` says what is wrong, and where.
"""

import bz2
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import zstandard

ENDLESS = 2**34
"""Inflated bytes of one record after which no end of it is looked for: a bomb, and what stands behind it is lost."""

_CHUNK = 1 << 18  # compressed bytes read in one go
_SLICE = 1 << 10  # zstd cannot be told where to stop: a kilobyte inflates to 32 MB at most (RFC 8878, 3.1.1.2: blocks)
_TAIL = 8_000  # inflated bytes kept to show what stood before a damage


class Damaged(Exception):
    """A file that cannot be read beyond some byte: the reason, that byte, and the bytes that stand before it."""

    def __init__(self, reason: str, at: int, tail: bytes = b"") -> None:
        self.reason, self.at, self.tail = reason, at, tail
        super().__init__(f"{reason} at byte {at}")


class Stream(Protocol):
    """What a reader reads."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, fewer only before the end or a damage; none at the end."""


@dataclass(frozen=True)
class _Format:
    name: str
    begins: tuple[bytes, ...]  # the first bytes of a member
    start: Callable[[], Any]
    step: Callable[[Any, bytes, int], tuple[bytes, bytes]]  # state, input, wanted bytes -> output, input left over
    wrong: tuple[type[Exception], ...]


def _gzip(state: Any, data: bytes, wanted: int) -> tuple[bytes, bytes]:
    out = state.decompress(data, wanted)
    return out, state.unused_data if state.eof else state.unconsumed_tail


def _bzip2(state: Any, data: bytes, wanted: int) -> tuple[bytes, bytes]:
    return state.decompress(data, wanted), state.unused_data if state.eof else b""


def _zstd(state: Any, data: bytes, wanted: int) -> tuple[bytes, bytes]:
    out, size, at = [], 0, 0
    while at < len(data) and size < wanted and not state.eof:
        out.append(state.decompress(data[at : at + _SLICE]))
        size += len(out[-1])
        at += _SLICE
    return b"".join(out), (state.unused_data if state.eof else b"") + data[at:]


_SKIPPABLE = tuple(bytes([0x50 + i, 0x2A, 0x4D, 0x18]) for i in range(16))
_FORMATS = {
    ".gz": _Format("gzip", (b"\x1f\x8b\x08",), lambda: zlib.decompressobj(31), _gzip, (zlib.error,)),
    ".bz2": _Format("bzip2", (b"BZh",), bz2.BZ2Decompressor, _bzip2, (OSError, ValueError)),
    ".zst": _Format(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
        lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
        _zstd,
        (zstandard.ZstdError,),
    ),
}
SUFFIXES = tuple(_FORMATS)


def suffix_of(path: str) -> str:
    """``.gz``, ``.zst`` or ``.bz2`` where a path ends so, else an empty string."""
    return next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), "")


def inflated(file: BinaryIO, path: str) -> Stream:
    """The stream of a file's content: inflated where its name says that it is compressed, else the file itself."""
    suffix = suffix_of(path)
    return Inflated(file, _FORMATS[suffix]) if suffix else file


def longest(stream: object) -> float:
    """Bytes of one record after which no end of it is looked for; a file that is not compressed has an end."""
    return ENDLESS if isinstance(stream, Inflated) else math.inf


class Inflated:
    """What a compressed file holds. A read gives fewer bytes than asked for rather than an error too early."""

    def __init__(self, file: BinaryIO, form: _Format) -> None:
        self._file, self._form = file, form
        self._state: Any = None
        self._input, self._tail = b"", b""
        self._ready = memoryview(b"")
        self._members = self._at = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end. Raises Damaged."""
        while not self._ready:
            if not self._step(size):
                return b""
        taken = bytes(self._ready[:size])
        self._ready = self._ready[size:]
        self._at += len(taken)
        self._tail = (self._tail + taken[-_TAIL:])[-_TAIL:]
        return taken

    def _step(self, wanted: int) -> bool:
        """Inflate some more; False at the end."""
        if self._state is None and not self._begin():
            return False
        self._input = self._input or self._file.read(_CHUNK)
        before = len(self._input)
        try:
            out, self._input = self._form.step(self._state, self._input, wanted)
        except self._form.wrong as error:
            raise self._damaged("damaged") from error
        self._ready = memoryview(out)
        if self._state.eof:
            self._state = None
            self._members += 1
        elif not before and not out:
            raise self._damaged("truncated")
        return True

    def _begin(self) -> bool:
        """Begin the next member; False where there is none. Zeros behind the last one are padding."""
        while len(self._input) < 4 and (more := self._file.read(_CHUNK)):
            self._input += more
        if self._input.startswith(self._form.begins):
            self._state = self._form.start()
            return True
        if not self._members:
            raise Damaged(f"not_{self._form.name}", 0, self._input[:_TAIL])
        while self._input and not self._input.strip(b"\0"):
            self._input = self._file.read(_CHUNK)
        if self._input:
            raise self._damaged("damaged")
        return False

    def _damaged(self, reason: str) -> Damaged:
        return Damaged(reason, self._at, self._tail)
