"""One piece of documents to one piece of tokens for each source. No Ray.

Documents stand in the order of their ids, each closed by the token that ends a document. A piece's compressed bytes,
its tokens and about a million characters of text are in memory, and no more.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import Ids, dtype_of, load_tokenizer, write

SPLITS = {"train": "kept", "heldout": "heldout"}  # split -> prefix of the corpus pieces
BATCH_CHARACTERS = 1 << 20
BATCH_DOCUMENTS = 512


@dataclass
class _Stream:
    """A source's part of the piece."""

    tokens: list[Ids] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    bytes: int = 0


def encode(folder: StageFolder, corpus: StageFolder, split: str, piece: str, name: str) -> int:
    """Encode one corpus piece and write what it holds, last of all ``name`` with the counts; returns its documents."""
    tokenizer = load_tokenizer(folder)
    dtype = dtype_of(tokenizer.vocab_size)
    streams: dict[str, _Stream] = {}
    for source, document, size, parts in _encoded(tokenizer, corpus, piece, dtype):
        stream = streams.setdefault(source, _Stream())
        stream.tokens += parts
        stream.documents.append(document)
        stream.lengths.append(sum(map(len, parts)))
        stream.bytes += size
    number = piece.rpartition("/")[2].partition(".")[0]
    facts: dict[str, dict[str, Any]] = {}
    for source, stream in sorted(streams.items()):
        to = f"{split}/{source}/{number}.bin"
        write(folder, to, np.concatenate(stream.tokens), stream.documents, stream.lengths)
        counts = {"tokens": sum(stream.lengths), "documents": len(stream.documents), "bytes": stream.bytes}
        facts[source] = {"piece": to, "dtype": dtype.str, **counts}
    folder.write_json(name, facts)
    return sum(len(stream.documents) for stream in streams.values())


def _encoded(
    tokenizer: Tokenizer, corpus: StageFolder, piece: str, dtype: np.dtype[Any]
) -> Iterator[tuple[str, str, int, list[Ids]]]:
    """(source, id, bytes, tokens in parts) of each document; a long text is encoded in parts (models/tokenizer.py)."""
    end: Ids = np.array([tokenizer.end_id], dtype)
    file = pq.ParquetFile(pa.BufferReader(corpus.read_bytes(piece)))
    for rows in file.iter_batches(BATCH_DOCUMENTS, columns=["source", "id", "text"]):
        sizes = pc.binary_length(rows["text"]).to_pylist()
        parts = [tokenizer.parts(text) for text in rows["text"].to_pylist()]
        ids = (
            np.frombuffer(array("HI"[dtype.itemsize // 4], found), dtype)  # twice as fast as of a list
            for batch in _by_characters(chain.from_iterable(parts))
            for found in tokenizer.encode_batch(batch)
        )
        sources, documents = rows["source"].to_pylist(), rows["id"].to_pylist()
        for source, document, size, part in zip(sources, documents, sizes, parts, strict=True):
            yield source, document, size, [*islice(ids, len(part)), end]


def _by_characters(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def merge(parts: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The counts of a split's pieces, in the order of the pieces, as one entry for each source."""
    merged: dict[str, dict[str, Any]] = {}
    for part in parts:
        for source, facts in sorted(part.items()):
            new = {"pieces": [], "lengths": [], "tokens": 0, "documents": 0, "bytes": 0, "dtype": facts["dtype"]}
            into = merged.setdefault(source, new)
            into["pieces"].append(facts["piece"])
            into["lengths"].append(facts["tokens"])
            for name in ("tokens", "documents", "bytes"):
                into[name] += facts[name]
    return dict(sorted(merged.items()))
