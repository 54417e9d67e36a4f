"""MinHash signatures (Broder 1997) in the ``affine32`` scheme and format of datasketch 2. Knows hashes, not text.

``datasketch.MinHash(hashvalues=signature, seed=SEED, scheme=SCHEME)`` loads a row. Our part is the evaluation: one
permutation at a time over the hashes of many documents, with one segmented minimum.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.shingles import U64, Grams, mix

U32: TypeAlias = NDArray[np.uint32]

SCHEME, SEED = "affine32", 1
EMPTY = np.uint32(0xFFFFFFFF)  # each value of the signature of a document without shingles
HASHES_AT_ONCE = 1 << 16
_STEP = np.uint64(0x9E3779B97F4A7C15)


def signatures(shingles: Grams, permutations: int) -> U32:
    """[documents, permutations] minima."""
    factor, offset = parameters(permutations)
    documents = len(shingles.ends)
    made = np.full((documents, permutations), EMPTY, np.uint32)
    first = 0
    while first < documents:
        begin = int(shingles.ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(shingles.ends, begin + HASHES_AT_ONCE, side="right")))
        ends = shingles.ends[first:last] - begin
        filled = np.diff(ends, prepend=0) > 0  # a segmented minimum has no empty segments
        if filled.any():
            starts = (ends - np.diff(ends, prepend=0))[filled]
            value = _fmix32(shingles.hashes[begin : begin + int(ends[-1])].astype(np.uint32))
            minima = np.empty((permutations, len(starts)), np.uint32)
            work = np.empty_like(value)
            for k in range(permutations):
                np.multiply(value, factor[k], out=work)
                np.add(work, offset[k], out=work)
                np.minimum.reduceat(work, starts, out=minima[k])
            made[first:last][filled] = minima.T
        first = last
    return made


def parameters(permutations: int) -> tuple[U32, U32]:
    """The odd factors and the offsets, drawn as datasketch draws them."""
    random = np.random.RandomState(SEED)
    factor = random.randint(0, 1 << 31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factor, random.randint(0, 1 << 32, permutations, dtype=np.uint32)


def band_keys(signature: U32, bands: int, rows: int) -> U64:
    """[documents, bands]: a 64-bit hash of a band's number and values; equal keys propose a pair, the text decides."""
    parts = signature.reshape(len(signature), bands, rows).astype(np.uint64)
    keys = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64), parts.shape[:2])
    for k in range(rows):
        keys = mix(keys * _STEP + parts[:, :, k] + np.uint64(1))
    return keys


def _fmix32(value: U32) -> U32:
    """MurmurHash3's 32-bit finaliser."""
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))
