"""Replicas of several workers: however many there are, and whichever worker is killed, the same bits."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models import checkpoint
from models.layout_config import Layout, LayoutError
from pipeline.pretrain.options.group import Patient, check_rows
from tests.pipeline.pretrain.options.grouped import make_task, run_groups
from tests.support.context import context

STEPS, SHARDS = 30, 4


def train(run: Path, layout: Layout, poke: Callable[[], None] = lambda: None, slow_until: str = "") -> Any:
    """(digest of the weights, losses, processes started again, the stage)."""
    ctx, _ = context(str(run), "pretrain")
    (run / "pids").mkdir()
    common = {
        "run": ctx.run,
        "stage": ctx.name,
        "fingerprint": ctx.folder.fingerprint,
        "task": "tests.pipeline.pretrain.options.grouped:make_task",
        "kwargs": {"steps": STEPS, "shards": SHARDS, "slow_until": slow_until},
        "threads": 1,
        "checkpoint_every": 10,
        "keep": 2,
        "keep_every": 0,
        "pids": str(run / "pids"),
    }
    again = run_groups(layout, common, poke)
    weights, _ = checkpoint.load(ctx.folder.read_bytes, "model")
    losses = [line["loss"] for line in ctx.folder.read_jsonl("metrics/steps.jsonl")]
    return checkpoint.digest(weights), losses, again, ctx


def killer(run: Path, replica: int, worker: int, at_step: int) -> Callable[[], None]:
    """Kill -9 one worker once, when its replica says that it passed a step; say so when the replica is back."""
    killed: list[int] = []

    def poke() -> None:
        path = run / "pretrain" / "timing" / f"replica-{replica}.json"
        if not path.exists() or (said := json.loads(path.read_text()))["step"] < at_step:
            return
        if not killed:
            pid = int((run / "pids" / f"{replica}-{worker}").read_text())
            os.kill(pid, signal.SIGKILL)
            killed.append(said["pid"])
        elif said["pid"] != killed[0] and said["members"] == 2:
            (run / "back").touch()

    return poke


def test_a_lost_worker_costs_its_replica_and_no_bit(tmp_path: Path) -> None:
    calm, hurt = tmp_path / "calm", tmp_path / "hurt"
    for run in (calm, hurt):
        run.mkdir()
    digest, losses, again, ctx = train(calm, Layout(tensor=2))
    assert again == 0
    assert {int(p.split("/")[1]) for p in ctx.folder.pieces("checkpoints/")} == {10, 20}
    found = train(hurt, Layout(tensor=2, replicas=2), killer(hurt, 1, 1, 5), str(hurt / "back"))
    assert (hurt / "back").exists()  # healed from the other replica, and took part again
    assert found[:2] == (digest, losses)
    assert found[2] >= 2  # the killed one and its neighbour; nobody of the other replica


def test_a_batch_that_cannot_be_laid_out_is_refused_with_its_rule() -> None:
    task: Any = make_task("", steps=2, shards=2)
    check_rows(Layout(fsdp=2, tensor=2), task)
    with pytest.raises(LayoutError, match=r"layout.micro_batches = 3: .* 4 rows .* passes"):
        check_rows(Layout(pipeline=2, micro_batches=3), task)


class Broken:
    """An exchange whose peers are gone."""

    members, rank = 2, 0

    def all_to_all(self, send: torch.Tensor, out_sizes: list[int], in_sizes: list[int]) -> torch.Tensor:
        raise RuntimeError("gone")

    def all_gather(self, x: torch.Tensor) -> list[torch.Tensor]:
        raise AssertionError("asked again")


def test_after_its_first_failure_an_exchange_gives_zeros() -> None:
    patient = Patient(Broken())
    assert patient.all_to_all(torch.ones(4), [1, 2], [2, 2]).tolist() == [0, 0, 0]
    assert [x.tolist() for x in patient.all_gather(torch.ones(2))] == [[0, 0], [0, 0]]
    assert str(patient.failure) == "gone"
