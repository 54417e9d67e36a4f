"""Replicas of several workers: however many there are, and whichever worker is killed, the same bits."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models import checkpoint
from models.config import GPTConfig
from models.layout_config import Layout, LayoutError
from models.parallel.costs import traffic
from pipeline.pretrain import steplog
from pipeline.pretrain.checkpoints import manifests, newest
from pipeline.pretrain.options.group import Patient, check_rows
from pipeline.stage import StageFolder
from tests.pipeline.pretrain.options.grouped import ROWS, SHAPE, make_task, run_groups
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


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(tmp_path_factory.mktemp("calm"), Layout(tensor=2))


def test_a_calm_run_leaves_checkpoints_in_parts_and_what_was_measured(calm: Any) -> None:
    _, _, again, ctx = calm
    assert again == 0
    assert {int(p.split("/")[1]) for p in ctx.folder.pieces("checkpoints/")} == {10, 20}
    check_checkpoint(ctx.folder)
    check_steps(ctx.folder)
    check_workers(ctx.folder, Layout(tensor=2))


def test_a_lost_worker_costs_its_replica_and_no_bit(tmp_path: Path, calm: Any) -> None:
    hurt = tmp_path / "hurt"
    hurt.mkdir()
    found = train(hurt, Layout(tensor=2, replicas=2), killer(hurt, 1, 1, 5), str(hurt / "back"))
    assert (hurt / "back").exists()  # healed from the other replica, and took part again
    assert found[:2] == calm[:2]
    assert found[2] >= 2  # the killed one and its neighbour; nobody of the other replica
    check_checkpoint(found[3].folder)
    check_workers(found[3].folder, Layout(tensor=2, replicas=2))


def check_checkpoint(folder: StageFolder) -> None:
    """It stands in parts, and is whole."""
    manifest = json.loads(folder.read_bytes(manifests(folder)[-1]))
    assert any("parts" in entry for entry in manifest["tensors"])
    found, refused = newest(folder)
    assert found is not None and not refused
    assert found[0]["model.embedding.weight"].shape == (61, 16) and found[1]["step"] == 20


def check_steps(folder: StageFolder) -> None:
    """One line a step, as a replica of one worker has them."""
    lines = steplog.read(folder)
    assert [line["step"] for line in lines] == list(range(STEPS))
    for line in lines:
        assert {"seconds", "loader_wait", "checkpoint_stall"} <= line.keys()
        assert 0 < line["mfu"] < 1 and line["step_tokens"] == SHARDS * 4 * 16 and line["memory_bytes"] > 1 << 20


def check_workers(folder: StageFolder, layout: Layout) -> None:
    """What a worker measured of itself, against the plan's arithmetic."""
    config = GPTConfig.model_validate(SHAPE)
    told = [json.loads(folder.storage.get(key)) for key in folder.storage.list(folder.key(steplog.WORKERS))]
    assert len(told) == layout.replicas * layout.workers
    for one in told:
        assert one["memory"] > 50 << 20
        now = layout.model_copy(update={"replicas": one["members"]})
        shards = SHARDS // one["members"]
        planned = traffic(config, now, layout.seat(one["worker"]), ROWS, shards, optimizer="muon")
        assert one["sent"] == pytest.approx(sum(planned.values()), rel=0.02)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_goes_on_from_parts_that_every_worker_could_read(tmp_path: Path, calm: Any, damaged: bool) -> None:
    """All workers are killed behind step 10; a damaged checkpoint is refused by all. The same bits."""
    found = train(tmp_path, Layout(tensor=2), end_all(tmp_path, damaged), str(tmp_path / "back"))
    assert found[:3] == (*calm[:2], 2)
    assert not list((tmp_path / "pretrain" / "checkpoints").rglob("parts-*"))
    refused = json.loads((tmp_path / "pretrain" / "timing" / "replica-0.json").read_text())["refused"]
    assert [reason.split(":")[0] for reason in refused] == ["checkpoints/0000010/manifest.json"] * damaged


def end_all(run: Path, damaged: bool) -> Callable[[], None]:
    """Kill -9 both workers once the first checkpoint stands; damage it, if asked to."""
    done = []

    def poke() -> None:
        manifest = run / "pretrain" / "checkpoints" / "0000010" / "manifest.json"
        if done or not (run / "pretrain" / ".pieces" / "checkpoints" / "0000010" / "manifest.json.json").exists():
            return
        for worker in (0, 1):
            os.kill(int((run / "pids" / f"0-{worker}").read_text()), signal.SIGKILL)
        if damaged:
            chunk = max(manifest.parent.glob("*.bin"), key=lambda path: path.stat().st_size)
            chunk.write_bytes(b"?" + chunk.read_bytes()[1:])
        done.append(True)
        (run / "back").touch()

    return poke


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


class Copies:
    """An exchange with two peers that have the same."""

    members, rank = 3, 1

    def all_to_all(self, send: torch.Tensor, out_sizes: list[int], in_sizes: list[int]) -> torch.Tensor:
        return torch.zeros(sum(out_sizes))

    def all_gather(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x] * 3


def test_an_exchange_counts_what_goes_out() -> None:
    counter = SimpleNamespace(bytes=100.0)
    patient = Patient(Copies(), counter)
    patient.all_to_all(torch.ones(6), [2, 2, 2], [1, 2, 3])
    assert counter.bytes == 100 + 4 * (1 + 3)  # not what it keeps
    patient.all_gather(torch.ones(5))
    assert counter.bytes == 116 + 2 * 5 * 4
