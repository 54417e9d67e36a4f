"""The encoding of pieces, without Ray."""

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import pre_tokenizers
from tokenizers.models import WordLevel

from models.tokenizer import SPECIALS, Tokenizer
from pipeline import rows
from pipeline.corpus import tables
from pipeline.rows import Row
from pipeline.stage import StageFolder
from pipeline.tokens.encode import encode, merge
from pipeline.tokens.pieces import Document, TokenReader
from tests.support.corpus import Writer


@pytest.fixture
def corpus(tmp_path: Path) -> StageFolder:
    """Two pieces of two sources, the second piece of one; and odd texts."""
    folder = StageFolder.open(str(tmp_path), "corpus", "f")
    say = Writer("encode")
    odd = ["", "\x00", "<|end|> <|user|>", "🚀" * 40, "x " * 3000]
    for number in range(2):
        made = [
            Row(id=rows.document_id(source, f"{number} {i}".encode()), source=source, text=text, meta="")
            for source in ("code", "plays")[: 2 - number]
            for i, text in enumerate([*(say.text(6) for _ in range(20)), *odd])
        ]
        folder.write_table(rows.piece("kept", number), tables.by_id(tables.documents(made)))
    return folder


def bytes_tokenizer() -> Tokenizer:
    return Tokenizer.train(["a few words, and words again", "of a text in words"], 300)


def wide_tokenizer() -> Tokenizer:
    """Words of more ids than 16 bits can say."""
    vocab = {token: i for i, token in enumerate([*SPECIALS, "[UNK]", *(f"w{i}" for i in range(65_600)), "x"])}
    backend = tokenizers.Tokenizer(WordLevel(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.add_special_tokens(list(SPECIALS))
    return Tokenizer(backend)


def encoded(run: Path, corpus: StageFolder, tokenizer: Tokenizer) -> StageFolder:
    folder = StageFolder.open(str(run), "tokens", "f")
    folder.write_bytes("tokenizer.json", tokenizer.to_json().encode())
    names = [f"work/index/train-{i}.json" for i in range(2)]
    assert [encode(folder, corpus, "train", rows.piece("kept", i), name) for i, name in enumerate(names)] == [50, 25]
    folder.write_json("index.json", {"train": merge([folder.read_json(name) for name in names])})
    return folder


@pytest.mark.parametrize("make", [bytes_tokenizer, wide_tokenizer])
def test_each_document_is_where_its_place_says(tmp_path: Path, corpus: StageFolder, make: type) -> None:
    tokenizer = make()
    folder = encoded(tmp_path, corpus, tokenizer)
    index = folder.read_json("index.json")["train"]
    table = [row for piece in corpus.pieces("kept/") for row in corpus.read_table(piece).to_pylist()]
    assert index["code"]["documents"] == 50 and index["plays"]["pieces"] == ["train/plays/00000.bin"]
    assert sum(facts["bytes"] for facts in index.values()) == sum(len(row["text"].encode()) for row in table)
    assert {facts["dtype"] for facts in index.values()} == {"<u2" if make is bytes_tokenizer else "<u4"}
    reader = TokenReader(folder, "train")
    for source in ("code", "plays"):
        assert sum(index[source]["lengths"]) == index[source]["tokens"] == reader.tokens(source)
        at = 0
        for row in (row for row in table if row["source"] == source):
            ids = [*tokenizer.encode(row["text"]), tokenizer.end_id]
            assert reader.document_at(source, at) == Document(row["id"], at, len(ids))
            assert reader.window(source, at, len(ids)).tolist() == ids
            at += len(ids)
        assert at == reader.tokens(source)


def test_the_same_tokens_however_they_are_batched(
    tmp_path: Path, corpus: StageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests(folder: StageFolder) -> dict[str, str]:
        records = {piece: folder.record(piece) for piece in folder.pieces()}
        return {piece: record["bytes_sha256"] for piece, record in records.items() if record}

    calm = digests(encoded(tmp_path / "calm", corpus, bytes_tokenizer()))
    for documents, characters, longest in ((1, 1, 1 << 18), (7, 100, 1 << 18), (512, 1 << 20, 500)):
        monkeypatch.setattr("pipeline.tokens.encode.BATCH_DOCUMENTS", documents)
        monkeypatch.setattr("pipeline.tokens.encode.BATCH_CHARACTERS", characters)
        monkeypatch.setattr("models.tokenizer.LONGEST", longest)
        assert digests(encoded(tmp_path / f"{documents}", corpus, bytes_tokenizer())) == calm
    assert "train/code/00001.parquet" in calm and "train/code/00001.sums" in calm


def test_no_text_ends_a_document(tmp_path: Path, corpus: StageFolder) -> None:
    folder = encoded(tmp_path, corpus, bytes_tokenizer())
    reader = TokenReader(folder, "train")
    for source in reader.sources:
        tokens = reader.window(source, 0, reader.tokens(source))
        assert (np.flatnonzero(tokens < len(SPECIALS)) == np.flatnonzero(tokens == Tokenizer.end_id)).all()
        assert (tokens == Tokenizer.end_id).sum() == json.loads(folder.read_bytes("index.json"))["train"][source][
            "documents"
        ]
