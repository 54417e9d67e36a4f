"""What a stage would miss is told before the first one is made."""

import importlib
from pathlib import Path

import pytest

from cluster.errors import ConfigError, UserError
from pipeline import ready
from pipeline.recipes import load


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("tokens.file=/there/is/none.json", "tokens.file"),
        ('pretrain.start={kind = "grown", source = "/there/is/no/run"}', "pretrain.start.source"),
    ],
)
def test_a_file_that_a_later_stage_reads_is_missed_at_once(change: str, field: str) -> None:
    sources = '[{name = "a", kind = "chats", rules = ["basic", "quality"]}]'
    config = load("tiny", [f"corpus.sources={sources}", 'finetune.sources=["a"]', change])
    with pytest.raises(UserError) as caught:
        ready.check(config, "pretrain")
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_missed_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def absent(module: str, package: str | None = None) -> object:
        if module == name:
            raise ImportError(module)
        return real(module, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    config = load("tiny", [f'pretrain.trackers=["{name}"]'])
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        ready.check(config)
    ready.check(config, "search")  # which tracks nothing
    ready.check(config, made=True)


def test_a_stage_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Stages: corpus"):
        ready.check(load("tiny", []), "pretraining")
