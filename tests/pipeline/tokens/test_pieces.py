"""Reading and batching of encoded pieces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import CorruptPiece
from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder
from pipeline.tokens import pieces
from pipeline.tokens.batches import Batches
from pipeline.tokens.order import Order
from pipeline.tokens.pieces import TOKENIZER, Document, TokenReader, dtype_of, load_tokenizer, windows, write

STREAMS = {"a": [list(range(10)), [100], list(range(200, 205))], "b": [list(range(50, 99))]}
DOCUMENTS = {"a": [[4, 1, 5], [1], [2, 3]], "b": [[49]]}


def make(run: Path, vocabulary: int = 300) -> StageFolder:
    made = StageFolder.open(str(run), "tokens", "f")
    index: dict[str, Any] = {}
    for source, parts in STREAMS.items():
        names = [f"train/{source}/{i:05d}.bin" for i in range(len(parts))]
        for i, (name, tokens) in enumerate(zip(names, parts, strict=True)):
            lengths = DOCUMENTS[source][i]
            ids = [f"{source}{i}{row}" for row in range(len(lengths))]
            write(made, name, np.array(tokens, dtype_of(vocabulary)), ids, lengths)
        index[source] = {"pieces": names, "lengths": [len(part) for part in parts], "tokens": sum(map(len, parts))}
        index[source] |= {"documents": 1, "bytes": 1, "dtype": dtype_of(vocabulary).str}
    index["none"] = {"pieces": [], "lengths": [], "tokens": 0, "documents": 0, "bytes": 0, "dtype": "<u2"}
    made.write_json("index.json", {"train": index})
    return made


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    return make(tmp_path)


@pytest.mark.parametrize("vocabulary", [300, 65_536, 65_537])
def test_windows_cross_pieces_and_the_stream_is_a_ring(tmp_path: Path, vocabulary: int) -> None:
    folder = make(tmp_path, vocabulary)
    reader = TokenReader(folder, "train")
    whole = [token for piece in STREAMS["a"] for token in piece]
    assert reader.sources == ["a", "b"] and reader.tokens("a") == 16
    for start in range(16):
        for length in (1, 3, 9, 20):
            expected = [(whole * 3)[start + i] for i in range(length)]
            assert reader.window("a", start, length).tolist() == expected
    assert reader.window("a", 0, 4).dtype == np.int64
    size = folder.record("train/a/00000.bin")
    assert size is not None and size["bytes"] == 10 * (2 if vocabulary <= 65_536 else 4)


def test_each_token_knows_its_document(folder: StageFolder) -> None:
    reader = TokenReader(folder, "train")
    owners = [Document("a00", 0, 4)] * 4 + [Document("a01", 4, 1)] + [Document("a02", 5, 5)] * 5
    owners += [Document("a10", 10, 1)] + [Document("a20", 11, 2)] * 2 + [Document("a21", 13, 3)] * 3
    assert [reader.document_at("a", i) for i in range(32)] == owners * 2
    assert [d.id for d in reader.documents("a", 3, 3)] == ["a00", "a01", "a02"]
    assert [d.id for d in reader.documents("a", 9, 3)] == ["a02", "a10", "a20"]
    assert [d.id for d in reader.documents("a", 14, 7)] == ["a21", "a00", "a01"]
    assert reader.documents("a", 5, 5) == [Document("a02", 5, 5)] and reader.documents("a", 5, 0) == []


def test_batches_are_windows_of_the_order(folder: StageFolder) -> None:
    reader = TokenReader(folder, "train")
    lengths = {source: windows(reader.tokens(source), 4) for source in reader.sources}
    assert lengths == {"a": 3, "b": 12} and windows(0, 4) == 0 and windows(5, 4) == 1 and windows(4, 4) == 0
    order = Order(lengths, {}, 1.0, 30, seed=1)
    batches = Batches(reader, order, context=4)
    batch = batches.batch(5, 7)
    assert batch.shape == (7, 5) and batch.dtype == np.int64
    for i in range(7):
        source, window = order.sample(5 + i)
        assert (batch[i] == reader.window(source, 4 * window, 5)).all() and (batches.sequence(5 + i) == batch[i]).all()
    assert batches.batch(3, 0).shape == (0, 5)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda data: data[:-2] + b"xx", "b/00000"),
        (lambda data: data[:-2], "48 tokens"),
        (lambda data: data[:-1], "cut"),
    ],
)
def test_a_damaged_piece_is_told(folder: StageFolder, damage: Any, found: str) -> None:
    path = folder.storage.path(folder.key("train/b/00000.bin"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptPiece, match=found):
        TokenReader(folder, "train").window("b", 0, 3)
    path.unlink()
    with pytest.raises(CorruptPiece, match="missing"):
        TokenReader(folder, "train").window("b", 0, 3)


def test_only_what_is_asked_for_is_read_and_checked(folder: StageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 16)  # 8 tokens
    write(folder, "train/b/00000.bin", np.arange(49, dtype="<u2"), ["b"], [49])
    path = folder.storage.path(folder.key("train/b/00000.bin"))
    path.write_bytes(path.read_bytes()[:40] + b"\xff" * 4 + path.read_bytes()[44:])  # tokens 20 and 21, in chunk 2
    folder.storage.path(folder.key("train/a/00000.bin")).unlink()
    reader = TokenReader(folder, "train")
    assert reader.window("b", 0, 16).tolist() == list(range(16))
    assert reader.window("b", 24, 26).tolist() == [*range(24, 49), 0]
    for start in (15, 20, 23):
        with pytest.raises(CorruptPiece, match="b/00000"):
            reader.window("b", start, 2)
    path.write_bytes(path.read_bytes()[:40] + np.array([20, 21], "<u2").tobytes() + path.read_bytes()[44:])
    assert TokenReader(folder, "train").window("b", 0, 49).tolist() == list(range(49))


def test_few_files_are_open_at_a_time(folder: StageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_MAPS", 2)
    reader = TokenReader(folder, "train")
    whole = [token for piece in STREAMS["a"] for token in piece]
    for _ in range(2):
        assert reader.window("a", 0, 16).tolist() == whole and reader.window("b", 0, 1).tolist() == [50]
    assert sum(piece._map is not None for piece in reader._pieces.values()) == 2


def test_a_stream_without_checksums_of_its_chunks_is_checked_whole(tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "tokens", "f")
    folder.write_bytes("train/a/00000.bin", np.arange(9, dtype="<u2").tobytes(), rows=9)
    folder.write_json("index.json", {"train": {"a": {"pieces": ["train/a/00000.bin"], "tokens": 9}}})
    assert TokenReader(folder, "train").window("a", 7, 3).tolist() == [7, 8, 0]
    path = folder.storage.path(folder.key("train/a/00000.bin"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptPiece):
        TokenReader(folder, "train").window("a", 0, 1)


def test_the_tokeniser_is_read_as_it_was_written(folder: StageFolder) -> None:
    made = Tokenizer.train(["a tokeniser of a few words", "and a few more"], 270)
    folder.write_bytes(TOKENIZER, made.to_json().encode())
    assert load_tokenizer(folder).to_json() == made.to_json()
