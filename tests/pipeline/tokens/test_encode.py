"""The tokeniser's sample and the encoding of pieces, without Ray."""

from pathlib import Path

import numpy as np
import pytest

from models.tokenizer import Tokenizer
from pipeline import rows
from pipeline.corpus import tables
from pipeline.rows import Row
from pipeline.stage import StageFolder
from pipeline.tokens import train
from pipeline.tokens.encode import encode, merge
from pipeline.tokens.pieces import TokenReader
from tests.support.corpus import Writer


@pytest.fixture
def corpus(tmp_path: Path) -> StageFolder:
    """Two pieces of three sources."""
    folder = StageFolder.open(str(tmp_path), "corpus", "f")
    say = Writer("encode")
    for number in range(2):
        made = [
            Row(id=rows.document_id(source, f"{number} {i}".encode()), source=source, text=say.text(6), meta="")
            for source in ("code", "plays")[: 2 - number]
            for i in range(20)
        ]
        folder.write_table(rows.piece("kept", number), tables.by_id(tables.documents(made)))
    folder.write_table(rows.piece("heldout", 0), tables.by_id(tables.documents(made[:3])))
    return folder


def test_the_sample_is_chosen_by_hash_and_near_its_limit(corpus: StageFolder) -> None:
    size = train.size(corpus)
    everything = list(train.sample(corpus, 10**9))
    assert sum(len(text.encode()) for text in everything) == size and len(everything) == 60
    half = list(train.sample(corpus, size // 2))
    assert 0.3 * size < sum(len(text.encode()) for text in half) < 0.7 * size
    assert set(half) < set(everything) and half == list(train.sample(corpus, size // 2))


def test_encoded_text_decodes_to_the_documents(corpus: StageFolder, tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "tokens", "f")
    tokenizer = Tokenizer.train(train.sample(corpus, 10**9), 400)
    folder.write_bytes("tokenizer.json", tokenizer.to_json().encode())
    names = [f"work/index/train-{i}.json" for i in range(2)]
    seen = [encode(folder, corpus, "train", rows.piece("kept", i), name) for i, name in enumerate(names)]
    assert seen == [40, 20]
    index = merge([folder.read_json(name) for name in names])
    assert index["code"]["documents"] == 40 and index["plays"]["pieces"] == ["train/plays/00000.bin"]
    assert sum(facts["bytes"] for facts in index.values()) == train.size(corpus)
    folder.write_json("index.json", {"train": index})
    reader = TokenReader(folder, "train")
    for source in ("code", "plays"):
        tokens = reader.window(source, 0, reader.tokens(source))
        cuts = np.flatnonzero(tokens == Tokenizer.end_id)
        assert cuts[-1] == len(tokens) - 1 and len(cuts) == index[source]["documents"]
        texts = [tokenizer.decode(part[:-1].tolist()) for part in np.split(tokens, cuts[:-1] + 1)]
        pieces = [corpus.read_table(piece).to_pylist() for piece in corpus.pieces("kept/")]
        assert texts == [row["text"] for piece in pieces for row in piece if row["source"] == source]
