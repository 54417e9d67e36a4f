"""A run that begins with another model: the ladder of sizes, an imported folder, and what is refused."""

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from cluster.errors import ConfigError
from models.config import GPTConfig
from models.gpt import GPT
from models.layouts.folder import export_files
from models.optim_config import OptimConfig
from pipeline.config import RunConfig
from pipeline.pretrain.language import heldout_windows, make_task
from pipeline.pretrain.loop import Trainee, train_local
from pipeline.pretrain.options.start import check, first_weights, outside
from pipeline.pretrain.start_config import StartConfig
from pipeline.stage import StageFolder
from tests.models.fakes import tiny_model, tiny_tokenizer
from tests.support import streams
from tests.support.toy import SHAPE

SMALL = """
[model]
layers = 1
width = 16
heads = 2
hidden = 32
"""
GROWN = """
[model]
layers = 3
width = 32
heads = 4
hidden = 64

[pretrain.start]
kind = "grown"
source = "small"
depth = "identity"
"""


def pretrain(run: Path, recipe: str, tokenizer: bytes = b"{}") -> tuple[Trainee, float]:
    """The stage of a rung, without Ray; the trainee and its held-out loss before the first step."""
    said = tomllib.loads(recipe)
    folder = streams.write(run, {"a": 1601}, {"a": 200})
    folder.write_bytes("tokenizer.json", tokenizer)
    how = said.get("pretrain", {})
    if how:
        how["start"]["source"] = str(run.parent / how["start"]["source"])
    task = make_task(
        str(run),
        model=SHAPE.model_dump() | said["model"],
        optim=OptimConfig(peak_lr=1e-2).model_dump(),
        tokens=16 * 160,
        batch=((0.0, 4),),
        shards=2,
        seed=5,
        pretrain=how,
    )
    before = heldout(task.build(), folder)
    trainee = train_local(task)
    trainee.write_model(StageFolder.open(str(run), "pretrain", "f"))
    return trainee, before


def heldout(model: nn.Module, folder: StageFolder) -> float:
    windows = heldout_windows(folder, SHAPE.context, 8, 1)
    with torch.no_grad():
        logits = model(windows[:, :-1])
    return float(nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()))


def test_a_ladder_of_sizes(tmp_path: Path) -> None:
    small, drawn = pretrain(tmp_path / "small", SMALL)
    after = heldout(small.model, StageFolder.open(str(tmp_path / "small"), "tokens"))
    assert after < 0.5 * drawn
    grown, before = pretrain(tmp_path / "grown", GROWN)
    assert before == pytest.approx(after, abs=1e-4)
    assert heldout(grown.model, StageFolder.open(str(tmp_path / "grown"), "tokens")) < after
    assert sum(w.numel() for w in grown.model.parameters()) > 4 * sum(w.numel() for w in small.model.parameters())


def test_a_run_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    pretrain(tmp_path / "small", SMALL)
    with pytest.raises(ConfigError, match="reads another vocabulary") as caught:
        pretrain(tmp_path / "grown", GROWN, b"[]")
    assert caught.value.remedy == f"Set tokens.file = '{tmp_path}/small/tokens/tokenizer.json'"


def test_a_shape_that_does_not_follow_is_refused(tmp_path: Path) -> None:
    pretrain(tmp_path / "small", SMALL)
    with pytest.raises(ConfigError, match="width 24 must be a multiple of 16") as caught:
        pretrain(tmp_path / "grown", GROWN.replace("width = 32", "width = 24").replace("heads = 4", "heads = 3"))
    assert caught.value.field == "pretrain.start.source"


def test_a_shape_that_does_not_follow_is_known_before_anything_is_made(tmp_path: Path) -> None:
    pretrain(tmp_path / "small", SMALL)
    start = StartConfig(kind="grown", source=str(tmp_path / "small"))
    wide = SHAPE.model_copy(update={"layers": 3, "width": 32, "heads": 4, "hidden": 64})
    check(cast(RunConfig, SimpleNamespace(pretrain=SimpleNamespace(start=start), model=wide, seed=1)))
    bad = wide.model_copy(update={"width": 24, "heads": 3})
    with pytest.raises(ConfigError, match="width 24 must be a multiple of 16"):
        check(cast(RunConfig, SimpleNamespace(pretrain=SimpleNamespace(start=start), model=bad, seed=1)))


def imported(folder: Path, model: GPT) -> StartConfig:
    folder.mkdir()
    for name, data in export_files(model, tiny_tokenizer()).items():
        (folder / name).write_bytes(data)
    return StartConfig(kind="imported", source=str(folder))


def test_an_imported_model_begins_as_it_was(tmp_path: Path) -> None:
    model = tiny_model()
    state = first_weights(imported(tmp_path / "hf", model), model.config, 1, StageFolder.open(str(tmp_path), "tokens"))
    assert state is not None
    for name, tensor in model.state_dict().items():
        assert state[name].equal(tensor)


def test_an_imported_model_may_grow_and_get_tokens(tmp_path: Path) -> None:
    model = tiny_model()
    target = GPTConfig.model_validate(model.config.model_dump() | {"layers": 3, "vocab_size": 310, "context": 16})
    start = imported(tmp_path / "hf", model)
    state = first_weights(start, target, 1, StageFolder.open(str(tmp_path), "tokens"))
    assert state is not None
    grown, tokens = GPT(target).eval(), torch.arange(12)[None]
    grown.load_state_dict(state)
    torch.testing.assert_close(grown(tokens)[..., :300], model.eval()(tokens), rtol=1e-4, atol=1e-4)


def config_of(start: StartConfig, file: str = "") -> RunConfig:
    said: Any = SimpleNamespace(pretrain=SimpleNamespace(start=start), tokens=SimpleNamespace(file=file))
    return cast(RunConfig, said)


def test_the_fingerprint_follows_what_the_run_begins_with(tmp_path: Path) -> None:
    assert outside(config_of(StartConfig())) == ""
    start = imported(tmp_path / "hf", tiny_model())
    with pytest.raises(ConfigError, match=r"tokens.file = '': an imported model needs its own vocabulary"):
        outside(config_of(start))
    first = outside(config_of(start, "v"))
    assert outside(config_of(start, "v")) == first
    weights = tmp_path / "hf" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert outside(config_of(start, "v")) != first


def test_a_grown_run_follows_the_digest_of_the_small_one(tmp_path: Path) -> None:
    start = StartConfig(kind="grown", source=str(tmp_path))
    with pytest.raises(ConfigError, match="there is no pretrained model"):
        outside(config_of(start))
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "manifest.json").write_text('{"fingerprint": "f", "digest": "d1"}')
    assert outside(config_of(start)) == "d1"


def test_kind_and_source_go_together() -> None:
    with pytest.raises(ConfigError, match=r"pretrain.start.source = '/runs/a': pretrain.start.kind is none"):
        StartConfig(source="/runs/a")
    with pytest.raises(ConfigError, match=r"kind is grown\. Name the folder"):
        StartConfig(kind="grown")


def test_a_source_is_absolute_for_workers_elsewhere() -> None:
    assert Path(StartConfig(kind="grown", source="runs/small").source).is_absolute()
    assert StartConfig(kind="grown", source="s3://bucket/run").source == "s3://bucket/run"
