"""From texts to shingles and band keys, and the scheme that says which keys may meet. Knows no file."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.corpus import documents, shingles
from pipeline.corpus.near import minhash
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.shingles import U64, Grams

SCHEME = "bands-1"  # goes up when the same text would get other keys
SLICE_BYTES = 1 << 25  # of text whose shingles are in memory at once


def signed(table: pa.Table, config: DedupConfig) -> Iterator[tuple[Grams, U64]]:
    """Shingles and band keys [documents, bands] of some documents at a time, until all had their turn.

    A text of fewer words than a shingle has one shingle, a text without words none.
    Where only documents of one source may be duplicates, the source is part of the key.
    """
    total = np.cumsum(documents.byte_lengths(table))
    cuts = np.unique(np.searchsorted(total, np.arange(0, int(total[-1]) if len(total) else 0, SLICE_BYTES)))
    for first, last in pairwise([*cuts.tolist(), len(table)]):
        some = table.slice(first, last - first)
        grams = shingles.grams(some["text"].to_pylist(), config.words, whole=True)
        keys = minhash.band_keys(minhash.signatures(grams, config.bands * config.rows), config.bands, config.rows)
        if config.scope == "source":
            sources = some["source"].to_pylist()
            salts = {source: xxhash.xxh3_64_intdigest(source.encode()) for source in set(sources)}
            keys = shingles.mix(keys ^ np.array([salts[source] for source in sources], np.uint64)[:, None])
        yield grams, keys


def all_keys(table: pa.Table, config: DedupConfig) -> tuple[U64, shingles.I64]:
    """The band keys of the documents that have a word, and which these are."""
    keys, filled = [np.zeros((0, config.bands), np.uint64)], [np.zeros(0, bool)]
    for grams, some in signed(table, config):
        keys.append(some)
        filled.append(np.diff(grams.ends, prepend=0) > 0)
    has = np.flatnonzero(np.concatenate(filled))
    return np.concatenate(keys)[has], has


def scheme(config: DedupConfig) -> dict[str, Any]:
    """What must be equal for the keys of two runs to be compared."""
    signature = f"{SCHEME} of {minhash.SCHEME} over {shingles.SCHEME}, seed {minhash.SEED}"
    return {"signature": signature} | config.model_dump(mode="json", include={"words", "bands", "rows", "scope"})
