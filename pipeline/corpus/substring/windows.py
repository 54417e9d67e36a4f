"""Windows of L bytes in runs that equal text cuts at equal places, by array operations. Knows no other piece.

A window's *anchor* is the leftmost least hash of an 8-byte gram in its first half (winnowing: Schleimer, Wilkerson
and Aiken 2003, section 3). It depends on the window's bytes alone, so equal windows have it at the same distance.
Windows in a row with one anchor are a *segment*, some L / 4 of them. What all its windows share is its *core*, all that
they cover its *hood*. Two segments of one hood hold the same windows; no window of a segment stands elsewhere unless
its core does.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pipeline.corpus.shingles import I64, U64

SEGMENT = np.dtype(
    [("start", "<i8"), ("far", "<i2"), ("count", "<i2"), ("rest", "<i4"), ("twin", "<i4"), ("key", "<u8")]
)
"""Its first window, how far from there its anchor is, its windows, how many windows after them repeat them (a period),
the first segment of the piece with the same hood, and the hash of its core. Positions are bytes of all texts of a piece
in a row."""

STARTS = 1 << 15  # windows at a time: their arrays stay in the cache, and a position fits beside a hash in 32 bits
_POSITION = np.uint32(0xFFFF)

Segments = NDArray[np.void]


@dataclass(frozen=True)
class Text:
    """Documents in a row: bytes [n], and where each document ends."""

    data: NDArray[np.uint8]
    ends: I64

    @classmethod
    def of(cls, texts: pa.ChunkedArray) -> "Text":
        """The texts of a column of large_string, not copied."""
        column = pa.chunked_array([*texts.chunks], pa.large_string()).combine_chunks()
        if not len(column):
            return cls(np.zeros(0, np.uint8), np.zeros(0, np.int64))
        _, offsets, data = column.buffers()
        bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
        held = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
        return cls(held, bounds[1:] - bounds[0])

    def document(self, positions: I64) -> I64:
        """The document that holds each byte."""
        return np.searchsorted(self.ends, positions, side="right")


def blocks(length: int) -> tuple[int, ...]:
    """How many windows a segment holds at most, level by level; on the last level a segment is a window."""
    return length // 2, isqrt(length // 2), 1


def segments(text: Text, length: int, begin: int) -> Segments:
    """The segments of the windows that begin at [begin, begin + STARTS); none crosses the end of a document."""
    stop = min(begin + STARTS, len(text.data) - length + 1)
    width = length // 2
    anchor = _least(_grams(text.data[begin : stop + width + 6]), width) & _POSITION
    low, high = np.searchsorted(text.ends, [begin, stop - 1], side="right")
    last = text.ends[low : high + 1]
    first = np.maximum(np.concatenate([[begin], last[:-1]]), begin)
    after = np.clip(last - length + 1, first, stop)  # the document's windows begin at [first, after)
    turns = np.flatnonzero(anchor[1:] != anchor[:-1]) + (begin + 1)
    start = np.sort(np.concatenate([turns, first, after[after < stop]]))
    start = start[np.diff(start, prepend=-1) > 0]
    inside = start < after[np.searchsorted(first, start, side="right") - 1]
    made = np.zeros(int(inside.sum()), SEGMENT)
    made["start"] = start[inside]
    made["count"] = np.diff(start, append=stop)[inside]
    made["far"] = anchor[made["start"] - begin] + begin - made["start"]
    return made


def _grams(data: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """For each gram of 8 bytes 16 bits of its hash, and its position below them."""
    four = data.astype(np.uint32)
    four = four[:-1] | four[1:] << np.uint32(8)
    four = four[:-2] | four[2:] << np.uint32(16)
    value = four[:-4] * np.uint32(0x9E3779B1) + four[4:] * np.uint32(0x85EBCA77)
    value = (value ^ value >> np.uint32(15)) * np.uint32(0xC2B2AE3D)
    found: NDArray[np.uint32] = value & ~_POSITION | np.arange(len(value), dtype=np.uint32)
    return found


def _least(values: NDArray[np.uint32], width: int) -> NDArray[np.uint32]:
    """The least of each ``width`` values in a row, by doubling."""
    size, least = 1, values
    while 2 * size <= width:
        least = np.minimum(least[:-size], least[size:])
        size *= 2
    rest = width - size
    found: NDArray[np.uint32] = np.minimum(least[: len(least) - rest], least[rest:])
    return found


def split(coarse: Segments, block: int) -> Segments:
    """Finer segments: of each the windows whose distance to the anchor is in one block of ``block`` distances."""
    far = coarse["far"].astype(np.int64)
    near = far - coarse["count"] + 1
    parts = far // block - near // block + 1
    of = np.repeat(np.arange(len(coarse)), parts)
    index = (far // block)[of] - (np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts))
    made = np.zeros(len(of), SEGMENT)
    made["far"] = np.minimum(far[of], index * block + block - 1)
    made["start"] = (coarse["start"] + far)[of] - made["far"]
    made["count"] = made["far"] - np.maximum(near[of], index * block) + 1
    return made


def sign(text: Text, found: Segments, length: int, block: int) -> U64:
    """Hashes of the segments' hoods, [n, 2]; their keys become hashes of their cores.

    A core is that of the whole block: all segments of a block hold it, however few of its windows they have.
    """
    core = found["start"] + found["far"] % block
    cores = _digests(text, core, core + (length - block + 1))
    found["key"] = cores[:, 0]
    return cores if block == 1 else _digests(text, found["start"], found["start"] + found["count"] + (length - 1))


def _digests(text: Text, starts: I64, ends: I64) -> U64:
    """128 bits of XXH3 of each range: no algebra that regular text could defeat, as it does polynomials mod 2^64."""
    view, digest = text.data.data, xxhash.xxh3_128_digest
    made = b"".join([digest(view[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
    return np.frombuffer(made, np.uint64).reshape(-1, 2)


def fold(found: Segments, hoods: U64) -> tuple[Segments, U64]:
    """Segments in a row with one hood, as periodic text has them, become one with a ``rest``."""
    if not len(found):
        return found, hoods
    joined = found["start"][1:] == found["start"][:-1] + found["count"][:-1]
    heads = np.flatnonzero(np.concatenate([[True], ~(joined & (hoods[1:] == hoods[:-1]).all(axis=1))]))
    windows = np.add.reduceat(found["count"], heads, dtype=np.int32)
    found = found[heads]
    found["rest"] = windows - found["count"]
    return found, hoods[heads]
