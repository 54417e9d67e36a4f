"""Reading and batching of encoded pieces."""

from pathlib import Path

import numpy as np
import pytest

from cluster.errors import CorruptPiece
from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder
from pipeline.tokens.batches import Batches
from pipeline.tokens.order import Order
from pipeline.tokens.pieces import DTYPE, TOKENIZER, TokenReader, load_tokenizer, windows

STREAMS = {"a": [list(range(10)), [100], list(range(200, 205))], "b": [list(range(50, 99))]}


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    made = StageFolder.open(str(tmp_path), "tokens", "f")
    index = {}
    for source, pieces in STREAMS.items():
        names = [f"train/{source}/{i:05d}.bin" for i in range(len(pieces))]
        for name, tokens in zip(names, pieces, strict=True):
            made.write_bytes(name, np.array(tokens, DTYPE).tobytes())
        index[source] = {"pieces": names, "tokens": sum(map(len, pieces)), "documents": 1, "bytes": 1}
    index["none"] = {"pieces": [], "tokens": 0, "documents": 0, "bytes": 0}
    made.write_json("index.json", {"train": index})
    return made


def test_windows_cross_pieces_and_the_stream_is_a_ring(folder: StageFolder) -> None:
    reader = TokenReader(folder, "train")
    whole = [token for piece in STREAMS["a"] for token in piece]
    assert reader.sources == ["a", "b"] and reader.tokens("a") == 16
    for start in range(16):
        for length in (1, 3, 9, 20):
            expected = [(whole * 3)[start + i] for i in range(length)]
            assert reader.window("a", start, length).tolist() == expected
    assert reader.window("a", 0, 4).dtype == np.int64


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


def test_a_corrupted_piece_is_told(folder: StageFolder) -> None:
    path = folder.local("train/b/00000.bin")
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    with pytest.raises(CorruptPiece, match="train/b/00000"):
        TokenReader(folder, "train").window("b", 0, 3)


def test_the_tokeniser_is_read_as_it_was_written(folder: StageFolder) -> None:
    made = Tokenizer.train(["a tokeniser of a few words", "and a few more"], 270)
    folder.write_bytes(TOKENIZER, made.to_json().encode())
    assert load_tokenizer(folder).to_json() == made.to_json()
