"""The kinds side by side: per source and language, cached under the digest, and what cannot be had is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import ConfigError, UserError
from models.tokenizer import Tokenizer
from models.words import Words
from pipeline.sections import Note, Table
from pipeline.stage import StageFolder
from pipeline.tokens import compare, inspect
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.train import build
from tests.pipeline.tokens.tiny import documents, make, write_corpus


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    """A tokens stage that has committed, as ``inspect`` opens it."""
    made = make(tmp_path, write_corpus(tmp_path, 2, documents()), TokensConfig(vocab_size=300, count_parts=2))
    made.storage.put(made.key("manifest.json"), b'{"fingerprint": "f", "digest": "d1"}')
    return StageFolder.open(str(tmp_path), "tokens")


def test_kinds_by_source_and_language(folder: StageFolder) -> None:
    said: list[str] = []
    whole, by_language = compare.compare(folder, ["bytes", "word", "character"], said.append)
    assert isinstance(whole, Table) and isinstance(by_language, Table)
    assert [row[:2] for row in by_language.rows] == [["code", None], ["notes", "zh"], ["plays", "en"]]
    facts: dict[Any, dict[str, Any]] = {row[0]: dict(zip(whole.columns, row, strict=True)) for row in whole.rows}
    assert facts["bytes"]["come back"] == 1 and facts["bytes"]["unknown"] == 0
    assert facts["word"]["unknown"] > 0 and facts["word"]["come back"] < 1
    assert facts["bytes"]["bytes a token"] > 1 and facts["character"]["bytes a token"] < 1.5
    assert all(0 < row["used"] <= 1 and row["MB/s"] > 0 for row in facts.values())
    own = {name: value for name, value in facts[compare.OWN].items() if name not in ("kind", "MB/s", "trained in s")}
    assert own.items() <= facts["bytes"].items() and whole.rows[0][0] == compare.OWN  # which this run trained
    chinese = dict(zip(by_language.columns, by_language.rows[1], strict=True))
    assert float(str(chinese["character"]).split()[0]) > 1.5  # three bytes a character
    assert len(said) == 3
    assert compare.compare(folder, ["word", "bytes", "character"], said.append)[1] != by_language  # another order
    assert len(said) == 3


def test_found_before_is_read_until_the_stage_is_another(folder: StageFolder) -> None:
    said: list[str] = []
    compare.compare(folder, ["bytes"], said.append)
    compare.compare(folder, ["bytes", "character"], said.append)
    assert [line.split()[1] for line in said] == ["bytes", "character"]
    folder.storage.put(folder.key("manifest.json"), b'{"fingerprint": "f", "digest": "d2"}')
    compare.compare(folder, ["character"], said.append)
    assert len(said) == 3


def test_what_is_measured(folder: StageFolder) -> None:
    tokenizer = Tokenizer.train([], 260)  # a byte is a token
    found = compare._measure(tokenizer, ["ab", "é"], [tokenizer.encode("ab"), tokenizer.encode("e")])
    assert found == {"bytes": 4, "tokens": 3, "unknown": 0, "documents": 2, "returned": 1}


def test_a_sample_is_bounded_for_each_source_and_language(folder: StageFolder) -> None:
    sample = compare.take_sample(folder, limit=1)
    assert {key: len(texts) for key, texts in sample.items()} == {
        ("code", ""): 1,
        ("notes", "zh"): 1,
        ("plays", "en"): 1,
    }
    assert sum(map(len, compare.take_sample(folder).values())) == 60


def test_a_kind_whose_library_is_missing_is_a_note(folder: StageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(kind: str, *rest: Any) -> Tokenizer:
        if kind == "unigram":
            raise ConfigError("tokens.kind", kind, "this kind needs sentencepiece", "Install it")
        return Tokenizer.train([], 260)

    monkeypatch.setattr(compare, "build", build)
    blocks = compare.compare(folder, ["unigram", "bytes"], lambda text: None)
    assert isinstance(blocks[0], Table) and [row[0] for row in blocks[0].rows] == [compare.OWN, "bytes"]
    assert isinstance(blocks[-1], Note) and "sentencepiece" in blocks[-1].text


def test_what_cannot_be_compared_is_told(folder: StageFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such kind"):
        compare.compare(folder, ["letters"])
    with pytest.raises(UserError, match="has not finished"):
        compare.compare(StageFolder.open(str(tmp_path / "none"), "tokens"))


def test_an_imported_tokeniser_is_judged_and_what_cannot_be_tried_is_told(tmp_path: Path) -> None:
    write_corpus(tmp_path, 2, documents())
    made = StageFolder.open(str(tmp_path), "tokens", "f")
    word = build("word", Words(["walk", "x"], np.array([9, 8])), 264)
    made.write_json("index.json", {"train": {}})
    made.write_bytes("tokenizer.json", word.to_json().encode())
    made.storage.put(made.key("manifest.json"), b'{"fingerprint": "f", "digest": "d1"}')
    folder = StageFolder.open(str(tmp_path), "tokens")
    for kinds in ("all", "none"):
        blocks = inspect.show(folder, {"kinds": kinds}).blocks
        (row,) = next(block for block in blocks if isinstance(block, Table) and block.title.startswith("Kinds")).rows
        assert row[0] == compare.OWN and float(str(row[4])) > 0.5 and row[5] == 0.0  # unknown, come back
        noted = [block.text for block in blocks if isinstance(block, Note)]
        assert noted == (["No other kind was tried: its vocabulary is from a file."] if kinds == "all" else [])
    with pytest.raises(UserError, match=r"--kinds.*from a file"):
        inspect.show(folder, {"kinds": "bytes"})
