"""One piece of documents to one piece of tokens for each source. No Ray.

Documents stand in the order of their ids, each closed by the token that ends a document.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.compute as pc

from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import DTYPE, load_tokenizer

SPLITS = {"train": "kept", "heldout": "heldout"}  # split -> prefix of the corpus pieces
BATCH_CHARACTERS = 1 << 20


def encode(folder: StageFolder, corpus: StageFolder, split: str, piece: str, name: str) -> int:
    """Encode one corpus piece and write what it holds, last of all ``name`` with the counts; returns its documents."""
    tokenizer = load_tokenizer(folder)
    table = corpus.read_table(piece)
    number = piece.rpartition("/")[2].partition(".")[0]
    facts: dict[str, dict[str, Any]] = {}
    for source in sorted(pc.unique(table["source"]).to_pylist()):
        texts = table.filter(pc.equal(table["source"], source))["text"].to_pylist()
        tokens = np.concatenate(list(_stream(tokenizer, texts)))
        to = f"{split}/{source}/{number}.bin"
        folder.write_bytes(to, tokens.tobytes(), rows=len(tokens))
        size = sum(len(text.encode()) for text in texts)
        facts[source] = {"piece": to, "tokens": len(tokens), "documents": len(texts), "bytes": size}
    folder.write_json(name, facts)
    return len(table)


def _stream(tokenizer: Tokenizer, texts: list[str]) -> Iterator[np.ndarray[Any, np.dtype[np.uint16]]]:
    batch: list[str] = []
    characters = 0
    for i, text in enumerate(texts):
        batch.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS or i == len(texts) - 1:
            for ids in tokenizer.encode_batch(batch):
                yield np.array([*ids, tokenizer.end_id], DTYPE)
            batch, characters = [], 0


def merge(parts: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The counts of a split's pieces, in the order of the pieces, as one entry for each source."""
    merged: dict[str, dict[str, Any]] = {}
    for part in parts:
        for source, facts in sorted(part.items()):
            into = merged.setdefault(source, {"pieces": [], "tokens": 0, "documents": 0, "bytes": 0})
            into["pieces"].append(facts["piece"])
            for name in ("tokens", "documents", "bytes"):
                into[name] += facts[name]
    return dict(sorted(merged.items()))
