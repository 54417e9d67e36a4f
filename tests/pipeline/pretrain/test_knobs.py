"""Ten knobs at once: they go together, and an interrupted run ends with the bits of a calm one."""

from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigError
from models import checkpoint
from models.optim_config import OptimConfig
from models.step import LocalExchange
from models.tokenizer import Tokenizer
from pipeline.pretrain.checkpoints import Checkpoints, newest
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.language import LanguageTask, make_task
from pipeline.pretrain.loop import Trainee, train_local
from pipeline.stage import StageFolder
from tests.support import streams
from tests.support.toy import SHAPE

KNOBS: dict[str, Any] = {
    "micro_batch": 1,
    "context_ramp": [[0.0, 8], [0.5, 16]],
    "precision": "bf16",
    "recompute": True,
    "z_weight": 1e-3,
    "label_smoothing": 0.05,
    "vocab_chunk": 24,
    "token_dropout": 0.1,
    "guard": {"policy": "rollback+lower", "back": 2, "batches": 1, "warmup": 4, "window": 16, "patience": 16},
    "swaps": [{"at": 0.6, "set": {"optim.kind": "lion", "optim.peak_lr": 1e-4, "model.dropout": 0.05}}],
}


def task(run: Path, **knobs: Any) -> LanguageTask:
    folder = streams.write(run, {"a": 1601, "b": 401}, {"a": 200, "b": 100})
    folder.write_bytes("tokenizer.json", Tokenizer.train(["text"], 260).to_json().encode())
    return make_task(
        str(run),
        model={**SHAPE.model_dump(), "dropout": 0.1, "kv_heads": 1, "qk_norm": True},
        optim=OptimConfig(peak_lr=1e-2, schedule="cosine").model_dump(),
        tokens=16 * 4 * 12,
        batch=((0.0, 4),),
        shards=2,
        seed=5,
        curve_points=2,
        curve_windows=4,
        pretrain=knobs,
    )


def test_ten_knobs_train_and_a_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    calm = train_local(task(tmp_path, **KNOBS))
    losses = [line["loss"] for line in calm.history]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert [line["step"] for line in calm.history if "swaps" in line] == [6]

    saved = StageFolder.open(str(tmp_path), "pretrain", "f")
    for stop in (4, 9, len(losses)):  # before the swap, after it, to the end
        trainee = Trainee.new(task(tmp_path, **KNOBS))
        found, _ = newest(saved)
        if found:
            trainee.restore(*found)
        while trainee.step < stop and not trainee.done:
            trainee.apply(trainee.gradient(LocalExchange()))
        checkpoints = Checkpoints(saved)
        checkpoints.save(trainee.step, trainee.state(), trainee.facts())
        checkpoints.join()
    assert checkpoint.digest(trainee.model.state_dict()) == checkpoint.digest(calm.model.state_dict())
    assert trainee.history == calm.history


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a run with none of them."""
    return checkpoint.digest(train_local(task(tmp_path_factory.mktemp("plain"))).model.state_dict())


@pytest.mark.parametrize("knob", [name for name in KNOBS if name not in ("recompute", "guard")])
def test_each_knob_changes_the_bits(knob: str, plain: str, tmp_path: Path) -> None:
    assert checkpoint.digest(train_local(task(tmp_path, **{knob: KNOBS[knob]})).model.state_dict()) != plain


def test_recomputation_changes_none(plain: str, tmp_path: Path) -> None:
    assert checkpoint.digest(train_local(task(tmp_path, recompute=True)).model.state_dict()) == plain


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"context_ramp": [[0.2, 8]]}, "begin at 0.0"),
        ({"micro_batch": -1}, 'from 0 on, or "auto"'),
        ({"micro_batch": "some"}, 'from 0 on, or "auto"'),
        ({"keep_every": 50}, "a multiple of pretrain.checkpoint_every = 40"),
    ],
)
def test_nonsense_is_refused_with_its_rule(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        PretrainConfig.model_validate(values)
