"""RLHF on real actors: kill -9 of any of them, and of the driver's memory, changes nothing."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.rlhf import job, loop
from pipeline.rlhf.job import RayCrew
from pipeline.rlhf.loop import Progress
from pipeline.rlhf.types import Chunk, Experience
from pipeline.stage import StageFolder
from tests.pipeline.rlhf.crew import INPUTS, TINY, LocalCrew, prompts, setup, write_run
from tests.support.context import context

ONE_ROLLOUT = TINY.model_copy(update={"rollout_actors": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("run"))
    write_run(made)
    return made


@pytest.fixture(scope="module")
def calm(run: str) -> dict[str, Any]:
    made = setup(run)
    return loop.run(LocalCrew(made), prompts(made), TINY, kind="rule", seed=1, progress=Progress()).to_json()


class KillingCrew(RayCrew):
    """Sends SIGKILL to one actor of each role in its turn, a moment after work was given to it."""

    def kill(self, role: str, after: float) -> None:
        import ray

        pool: Any = self.pools[role]
        pid = ray.get(pool._actors[0].__ray_call__.remote(lambda actor: os.getpid()))
        threading.Thread(target=lambda: (time.sleep(after), os.kill(pid, signal.SIGKILL))).start()

    def experience(self, version: int, chunks: Sequence[Chunk]) -> list[Experience]:
        if chunks[0].split == "train" and version in (0, 1, 3):
            self.kill({0: "Rollout", 1: "Reference", 3: "Judge"}[version], 0.01)
        return super().experience(version, chunks)

    def update(self, iteration: int, experience: list[Experience], scores: list[float], keep: bool) -> dict[str, Any]:
        if iteration in (1, 3):  # before and after the checkpoint of iteration 2
            self.kill("Learner", 0.02)
        return super().update(iteration, experience, scores, keep)


@pytest.mark.ray
def test_kill_of_every_kind_of_actor_changes_nothing(
    run: str, calm: dict[str, Any], tmp_path: Path, ray_session: Path
) -> None:
    events: list[dict[str, Any]] = []
    made = setup(run, ONE_ROLLOUT)
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")

    def event(kind: str, **facts: Any) -> None:
        assert threading.current_thread() is threading.main_thread(), "the log of events is for one thread"
        events.append(facts)

    crew = KillingCrew(made, folder, event)
    try:
        progress = Progress(**crew.resume())
        loop.run(crew, prompts(made), ONE_ROLLOUT, kind="rule", seed=1, progress=progress)
    finally:
        crew.close()
    assert progress.to_json() == calm
    assert {"Rollout", "Learner"} <= {e["role"] for e in events}  # the others may be quicker than their killer


@pytest.mark.ray
def test_a_driver_that_was_killed_goes_on_to_the_same_model(run: str, tmp_path: Path, ray_session: Path) -> None:
    """The first driver ends without warning after iteration 3; the second starts from the checkpoint of iteration 2."""
    made = setup(run)
    folder = StageFolder.open(run, "rlhf", "f")
    config = SimpleNamespace(rlhf=TINY.model_copy(update={"rollout_actors": 4}), seed=1)  # 2 CPUs have room for 2

    class CutError(Exception):
        pass

    def cut(row: dict[str, Any]) -> None:
        if row["iteration"] == 2:
            raise CutError

    crew = RayCrew(made, folder, lambda kind, **facts: None)
    try:
        progress = Progress(**crew.resume())
        with pytest.raises(CutError):
            loop.run(crew, prompts(made), TINY, kind="rule", seed=1, progress=progress, on_row=cut)
    finally:
        crew.close()
    ctx, heard = context(run, "rlhf", cast(Any, config), INPUTS)
    job.run(ctx)
    assert heard.bars["rlhf"] == TINY.iterations
    local = LocalCrew(made, StageFolder.open(str(tmp_path), "rlhf", "f"))
    expected = loop.run(local, prompts(made), TINY, kind="rule", seed=1, progress=Progress())
    assert folder.read_jsonl("metrics/iterations.jsonl") == expected.rows
    local.learner.write_model(TINY.iterations, StageFolder.open(str(tmp_path), "rlhf", "f"), current=True)
    digests = [StageFolder.open(r, "rlhf").read_json("model/manifest.json")["digest"] for r in (run, str(tmp_path))]
    assert digests[0] == digests[1]
    assert ctx.counts["headline"] == "rule"
    before = len(heard.bars)
    job.run(ctx)  # everything stands: nothing is done again
    assert len(heard.bars) == before
