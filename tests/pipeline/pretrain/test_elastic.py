"""Replicas of any number, killed or not, end with the same bits."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from models import checkpoint
from pipeline.pretrain import elastic, steplog
from pipeline.pretrain.loop import Trainee, train_local
from pipeline.stage import StageContext, StageFolder
from tests.support.context import Heard, context
from tests.support.resumed import resume, save
from tests.support.toy import make_task

STEPS, SHARDS = 40, 4


def calm_digest() -> str:
    return checkpoint.digest(train_local(make_task("", steps=STEPS, shards=SHARDS)).model.state_dict())


def train(
    run: Path,
    replicas: int,
    host: Literal["train", "actor"],
    poke: Callable[[], None] = lambda: None,
    pause_s: float = 0.0,
) -> tuple[str, list[dict[str, Any]], Heard]:
    """Train the toy on replicas; the digest of its weights, its history, and what was said."""
    from cluster.launch import run_replicas

    ctx, heard = context(str(run), "pretrain")

    def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
        def both() -> None:
            poll()
            poke()

        run_replicas(target, configs, host=host, num_cpus=0.5, name=name, storage=str(run / "scratch"), poll=both)

    kwargs = {"steps": STEPS, "shards": SHARDS, "pause_s": pause_s}
    elastic.train(
        ctx,
        "tests.support.toy:make_task",
        kwargs,
        replicas=replicas,
        threads=1,
        checkpoint_every=10,
        launch=launch,
        label="toy",
    )
    weights, _ = checkpoint.load(ctx.folder.read_bytes, "model")
    return checkpoint.digest(weights), ctx.folder.read_jsonl("metrics/steps.jsonl"), heard


def killer(run: Path, replica: int, at_step: int) -> Callable[[], None]:
    """Kill -9 one replica once, when it says that it passed a step."""
    done = []

    def poke() -> None:
        path = run / "pretrain" / "timing" / f"replica-{replica}.json"
        if done or not path.exists():
            return
        said = json.loads(path.read_text())
        if said["step"] >= at_step:
            os.kill(said["pid"], signal.SIGKILL)
            done.append(said["pid"])

    return poke


def test_a_checkpoint_continues_with_the_same_bits(tmp_path: Path) -> None:
    task = make_task("", steps=STEPS, shards=SHARDS)
    ctx, _ = context(str(tmp_path), "pretrain")
    first = Trainee.new(task)
    while first.step < 15:
        first.apply(first.gradient(elastic_local()))
    save(first, ctx.folder)
    second = Trainee.new(task)
    resume(second, ctx.folder)
    assert second.step == 15
    while second.step < STEPS:
        second.apply(second.gradient(elastic_local()))
    assert checkpoint.digest(second.model.state_dict()) == calm_digest()
    assert [line["step"] for line in second.history] == list(range(STEPS))


def elastic_local() -> Any:
    from models.step import LocalExchange

    return LocalExchange()


def alone(run: Path, **settings: Any) -> tuple[StageContext, Heard]:
    """Train the toy on one replica, in this process."""
    ctx, heard = context(str(run), "pretrain")

    def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
        elastic.replica(configs[0])

    kwargs = {"steps": STEPS, "shards": SHARDS}
    how = {"replicas": 1, "threads": 1, "checkpoint_every": 5, "launch": launch, "label": "toy", **settings}
    elastic.train(ctx, "tests.support.toy:make_task", kwargs, **how)
    return ctx, heard


def test_a_replica_keeps_by_the_rule_and_leaves_a_line_for_each_step(tmp_path: Path) -> None:
    ctx, _ = alone(tmp_path, keep=2, keep_every=20)
    weights, _ = checkpoint.load(ctx.folder.read_bytes, "model")
    assert checkpoint.digest(weights) == calm_digest()
    kept = {int(p.split("/")[1]) for p in ctx.folder.pieces("checkpoints/")}
    assert kept == {20, 30, 35}
    lines = steplog.read(ctx.folder)
    assert [line["step"] for line in lines] == list(range(STEPS))
    history = ctx.folder.read_jsonl("metrics/steps.jsonl")
    assert all(line[key] == own[key] for line, own in zip(lines, history, strict=True) for key in own)
    assert {line["step_tokens"] for line in lines} == {SHARDS * 32}
    assert sum(line["checkpoint_stall"] for line in lines) > 0
    assert not any("seconds" in line for line in history)  # the clock is not in the result


def test_a_full_disk_ends_the_run_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = StageFolder.write_bytes

    def full(self: StageFolder, piece: str, *args: Any, **kwargs: Any) -> None:
        if piece.startswith("checkpoints/0000010"):
            raise OSError("no room left")
        write(self, piece, *args, **kwargs)

    monkeypatch.setattr(StageFolder, "write_bytes", full)
    with pytest.raises(OSError, match="no room left"):
        alone(tmp_path)
    monkeypatch.undo()
    ctx, _ = alone(tmp_path)  # and the same command goes on
    weights, _ = checkpoint.load(ctx.folder.read_bytes, "model")
    assert checkpoint.digest(weights) == calm_digest()
    assert [line["step"] for line in steplog.read(ctx.folder)] == list(range(STEPS))


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_one_replica_and_two_give_the_same_bits(tmp_path: Path) -> None:
    one, history, _ = train(tmp_path / "one", 1, "actor")
    two, same_history, heard = train(tmp_path / "two", 2, "actor")
    assert one == two == calm_digest()
    assert history == same_history
    assert heard.bars["toy"] == STEPS * SHARDS * 32


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_a_killed_replica_returns_and_the_bits_are_the_calm_ones(tmp_path: Path) -> None:
    run = tmp_path / "killed"
    start = time.monotonic()
    digest, history, heard = train(run, 2, "actor", killer(run, 1, 5), pause_s=0.15)
    assert digest == calm_digest(), f"after {time.monotonic() - start:.0f} s"
    assert [line["step"] for line in history] == list(range(STEPS))
    faults = [e["what"] for e in heard.events if e["kind"] == "fault"]
    assert "replica died and returned" in faults
    redone = sum(e["times"] for e in heard.events if e.get("what") == "step redone")
    assert redone <= 1


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_train_restarts_only_the_replica_that_died(tmp_path: Path) -> None:
    run = tmp_path / "train"
    digest, _, heard = train(run, 2, "train", killer(run, 0, 5), pause_s=0.25)
    assert digest == calm_digest()
    assert any(e.get("what") == "replica died and returned" for e in heard.events)
