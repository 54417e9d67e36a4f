"""The tokeniser of the stage: of any kind, from a file, and what lies outside of the run."""

import builtins
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.errors import ConfigError
from models.tokenizer import Tokenizer
from models.words import Words
from pipeline.config import RunConfig
from pipeline.stage import StageFolder
from pipeline.tokens import train
from pipeline.tokens.compare import KINDS
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.pieces import load_tokenizer
from tests.pipeline.tokens.tiny import documents, make, write_corpus


def run_config(**fields: Any) -> RunConfig:
    return cast(RunConfig, SimpleNamespace(tokens=TokensConfig(**fields)))


def test_the_default_is_what_the_library_trains_on_all_training_text(tmp_path: Path) -> None:
    made = documents()
    folder = make(tmp_path, write_corpus(tmp_path, 3, made), TokensConfig(vocab_size=512))
    assert load_tokenizer(folder).to_json() == Tokenizer.train([row["text"] for row in made], 512).to_json()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "word_zh"])
def test_each_kind_is_trained(tmp_path: Path, kind: str) -> None:
    config = TokensConfig.model_validate({"kind": kind, "vocab_size": 400, "count_parts": 2})
    tokenizer = load_tokenizer(make(tmp_path, write_corpus(tmp_path, 1, documents()), config))
    assert tokenizer.vocab_size <= 400 and tokenizer.decode(tokenizer.encode(" return x")) == " return x"


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "jieba":
            raise ModuleNotFoundError("No module named 'jieba'", name="jieba")
        return before(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"firstlight\[zh\]"):
        train.build("word_zh", Words.of({"a": 1}), 300)


def test_a_vocabulary_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.json"
    path.write_text(Tokenizer.train(["a vocabulary of somebody else"], 280).to_json())
    folder = StageFolder.open(str(tmp_path), "tokens", "f")
    train.take(folder, TokensConfig(file=str(path)))
    assert load_tokenizer(folder).to_json() == path.read_text()
    with pytest.raises(ConfigError, match=r"tokens\.vocab_size.*at least the 2\d\d ids"):
        train.take(folder, TokensConfig(file=str(path), vocab_size=264))
    path.write_text("not a vocabulary")
    with pytest.raises(ConfigError, match=r"tokens\.file.*huggingface"):
        train.take(folder, TokensConfig(file=str(path)))
    with pytest.raises(ConfigError, match=r"tokens\.file.*No such file"):
        train.take(folder, TokensConfig(file=str(tmp_path / "none")))


def test_what_lies_outside_is_the_content_of_the_file_or_the_library_of_the_kind(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("same")
        assert train.outside(run_config(file=str(tmp_path / name))) == hashlib.sha256(b"same").hexdigest()
    assert train.outside(run_config()) == ""
    assert train.outside(run_config(kind="unigram")).startswith("sentencepiece 0.")
    with pytest.raises(ConfigError, match=r"tokens\.file"):
        train.outside(run_config(file=str(tmp_path / "none")))
