"""Band keys of documents -> edges between documents with one key, by array operations. Knows no text and no file.

A bucket of m documents gives m - 1 edges, to its smallest document, so a million copies cost as much as any million
documents. Of each key a piece of documents sends one record (its smallest document) to the partition of the key, and
keeps the edges to the others: no partition meets more records of one key than there are pieces.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus import shuffle
from pipeline.corpus.shingles import U64

Rows = NDArray[np.uint32]
OLD = np.uint64(1 << 48)  # places from here on are documents of earlier runs, which are never removed


def ranked(keys: U64, rows: NDArray[np.integer], most: int) -> tuple[U64, Rows]:
    """The records (key, row) of [documents, bands] keys, sorted; of one key the ``most`` smallest rows.

    ``rows`` are sorted: a document's number in its piece.
    """
    order = np.argsort(keys, axis=None, kind="stable")
    key, row = keys.ravel()[order], np.repeat(rows, keys.shape[1])[order]
    begin = _begins(key)
    near = np.arange(len(key)) - begin < most
    return key[near], row[near].astype(np.uint32)


def edges(keys: U64, places: U64) -> tuple[U64, U64]:
    """(smallest place of a key, another place of it), one key a place; places are sorted, but those of [n, bands] keys.

    A key that only earlier documents have gives none.
    """
    if keys.ndim == 2:
        places = np.repeat(places, keys.shape[1])
    order = np.argsort(keys, axis=None, kind="stable")
    first = order[_begins(keys.ravel()[order])]
    use = (first != order) & (places[first] < OLD)
    return places[first[use]], places[order[use]]


def _begins(key: U64) -> NDArray[np.int64]:
    """For each place of a sorted array, where its run of equal values begins."""
    fresh = np.ones(len(key), bool)
    fresh[1:] = key[1:] != key[:-1]
    return np.maximum.accumulate(np.where(fresh, np.arange(len(key)), 0)) if len(key) else np.zeros(0, np.int64)


def pack(keys: U64, rows: Rows) -> bytes:
    """Records as bytes, 12 each: all keys, then all rows."""
    return keys.astype("<u8").tobytes() + rows.astype("<u4").tobytes()


def unpack(data: bytes, base: int = 0) -> tuple[U64, U64]:
    """Keys and places; ``base`` is the place of the piece's row 0."""
    count = len(data) // 12
    rows = np.frombuffer(data, "<u4", offset=8 * count)
    return np.frombuffer(data, "<u8", count), rows.astype(np.uint64) + np.uint64(base)


def spread(keys: U64, rows: Rows, parts: int) -> list[bytes]:
    """Sorted records as the bytes of each part of the hash."""
    ends = np.searchsorted(shuffle.part_of(keys, parts), np.arange(parts), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return [pack(keys[a:b], rows[a:b]) for a, b in zip(starts, ends, strict=True)]
