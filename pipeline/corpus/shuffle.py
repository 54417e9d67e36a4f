"""The one exchange between tasks: each writes one file of P parts, and the reader of part p takes that part of each.

Writers and readers are tasks that may die: a file is a piece, committed whole, so nothing here needs to be resumed.
Keys travel, texts stay. Knows no step.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from cluster.errors import CorruptPiece
from pipeline.corpus.shingles import I64, U64
from pipeline.stage import StageFolder

_HEAD = struct.Struct("<8sQ")  # mark, number of parts
_PART = struct.Struct("<QQQ")  # start, length, xxh3_64 of a part
_MARK = b"parts-1\n"


def write(folder: StageFolder, name: str, parts: Sequence[bytes | memoryview]) -> None:
    """Commit a piece of parts; a part may be empty."""
    at = _HEAD.size + _PART.size * len(parts)
    head = [_HEAD.pack(_MARK, len(parts))]
    for part in parts:
        head.append(_PART.pack(at, len(part), xxhash.xxh3_64_intdigest(part)))
        at += len(part)
    folder.write_bytes(name, b"".join([*head, *parts]))


def take(folder: StageFolder, name: str, part: int) -> bytes:
    """One part of a piece: two reads of a range, whatever the size of the piece. Raises CorruptPiece."""
    head = folder.read_range(name, 0, _HEAD.size)
    mark, parts = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
    if mark != _MARK:
        raise CorruptPiece(folder.key(name), repr(_MARK), repr(mark), folder.remedy)
    assert part < parts, f"{name} has {parts} parts"
    start, length, expected = _PART.unpack(folder.read_range(name, _HEAD.size + _PART.size * part, _PART.size))
    data = folder.read_range(name, start, length) if length else b""
    found = xxhash.xxh3_64_intdigest(data)
    if found != expected:
        raise CorruptPiece(f"{folder.key(name)}, part {part}", f"{expected:016x}", f"{found:016x}", folder.remedy)
    return data


def gather(folder: StageFolder, names: Sequence[str], part: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """That part of all pieces as one structured array, in the order of the names."""
    return np.frombuffer(b"".join(take(folder, name, part) for name in names), kind)


def part_of(keys: U64, parts: int) -> I64:
    """The part that each 64-bit hash belongs to: by its high bits, so parts are ranges of the hash."""
    return ((keys >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)).astype(np.int64)


def scatter(rows: NDArray[Any], part: I64, parts: int) -> list[bytes]:
    """The rows of each part as bytes, in the order given."""
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=parts))
    return [chunk.tobytes() for chunk in np.split(rows[order], ends[:-1])]


def names(prefix: str, count: int) -> Iterator[str]:
    """``work/bands``, 2 -> its two pieces."""
    return (f"{prefix}/{number:05d}.bin" for number in range(count))
