"""Replicas against a real cluster: results in order, restart after kill -9, and no restart of a mistake."""

import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

import pytest

from cluster.errors import StageFailed, UserError
from cluster.launch import call, run_replicas
from cluster.reaper import members

TARGETS = "tests.support.replicas"


class Killer:
    """A poll that kills one replica once, and lets all finish when it has come back."""

    def __init__(self, folder: Path, victim: str, others: list[str]) -> None:
        self.folder, self.victim, self.others = folder, victim, others
        self.killed_at: float | None = None
        self.seconds: float | None = None

    def pids(self, name: str) -> list[int]:
        path = self.folder / f"{name}.pids"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def __call__(self) -> None:
        if self.killed_at is None and all(self.pids(name) for name in [self.victim, *self.others]):
            os.kill(self.pids(self.victim)[0], signal.SIGKILL)
            self.killed_at = time.monotonic()
        elif self.killed_at is not None and len(self.pids(self.victim)) == 2 and self.seconds is None:
            self.seconds = time.monotonic() - self.killed_at
            (self.folder / "go").touch()


def killed_and_back(tmp_path: Path, host: Literal["train", "actor"]) -> float:
    killer = Killer(tmp_path, "b", ["a"])
    configs = [{"dir": str(tmp_path), "name": name} for name in "ab"]
    results = run_replicas(
        f"{TARGETS}:line_then_wait",
        configs,
        host=host,
        num_cpus=0.5,
        name=f"kill-{host}",
        storage=str(tmp_path / "scratch"),
        poll=killer,
        health_seconds=0.25,
    )
    assert results == ["a", "b"]
    assert len(killer.pids("a")) == 1, "the survivor was left alone"
    assert len(set(killer.pids("b"))) == 2
    assert killer.seconds is not None
    print(f"{host}: back {killer.seconds:.1f} s after kill -9")
    return killer.seconds


@pytest.mark.ray
def test_killed_actor_replica_comes_back_alone(ray_session: Path, tmp_path: Path) -> None:
    assert killed_and_back(tmp_path, "actor") < 30


@pytest.mark.ray
@pytest.mark.slow
def test_killed_train_replica_comes_back_alone(ray_session: Path, tmp_path: Path) -> None:
    assert killed_and_back(tmp_path, "train") < 90


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["TrainController", "TrainReplica"])
def test_killed_supervisor_of_a_train_replica_is_replaced(ray_session: Path, tmp_path: Path, victim: str) -> None:
    """The replica asks for both CPUs, so it comes back only where the dead run's reservation was given back."""
    restarts: list[int] = []
    pids = tmp_path / "a.pids"

    def poll() -> None:
        lines = pids.read_text().splitlines() if pids.exists() else []
        if len(lines) == 1 and not (tmp_path / "killed").exists():
            for pid in members(os.environ["RAY_TMPDIR"]):
                if victim in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
                    (tmp_path / "killed").touch()
        elif len(lines) == 2:
            (tmp_path / "go").touch()

    results = run_replicas(
        f"{TARGETS}:line_then_wait",
        [{"dir": str(tmp_path), "name": "a"}],
        host="train",
        num_cpus=2,
        name=f"kill-{victim}",
        storage=str(tmp_path / "scratch"),
        poll=poll,
        on_restart=lambda index, why: restarts.append(index),
        health_seconds=0.25,
    )
    assert (results, restarts) == (["a"], [0])


@pytest.mark.ray
def test_mistake_of_the_target_ends_all_replicas(ray_session: Path, tmp_path: Path) -> None:
    configs = [{"dir": str(tmp_path), "name": "a"}, {"dir": str(tmp_path), "name": "b"}]
    with pytest.raises(StageFailed, match="ZeroDivisionError: on purpose in"):
        run_replicas(f"{TARGETS}:fail", configs, host="actor", num_cpus=0.5, name="fail", storage=str(tmp_path))


@pytest.mark.ray
def test_error_of_ours_arrives_whole(ray_session: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run_replicas(f"{TARGETS}:refuse", [{"name": "x"}], host="actor", num_cpus=0.5, name="no", storage=str(tmp_path))
    assert (caught.value.field, caught.value.value) == ("data.path", "x")


@pytest.mark.ray
def test_what_poll_raises_ends_the_replicas(ray_session: Path, tmp_path: Path) -> None:
    def poll() -> None:
        raise KeyboardInterrupt

    configs: list[dict[str, Any]] = [{"dir": str(tmp_path), "name": "a"}]
    with pytest.raises(KeyboardInterrupt):
        run_replicas(
            f"{TARGETS}:line_then_wait", configs, host="actor", num_cpus=0.5, name="int", storage="/tmp", poll=poll
        )


def test_call_keeps_an_exception_as_data() -> None:
    outcome = call(f"{TARGETS}:fail", {"name": "x"})
    assert "ZeroDivisionError" in outcome.failure
    assert outcome.error is None
