"""What the driver makes of what its replicas say."""

from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigError
from pipeline.pretrain.steplog import StepLog
from pipeline.pretrain.watch import Status, Watch, start_trackers
from pipeline.stage import StageContext
from tests.support.context import Heard, context


class Kept:
    """A tracker in memory."""

    def __init__(self) -> None:
        self.lines, self.closed = dict[int, dict[str, float]](), False

    def log(self, step: int, facts: dict[str, float]) -> None:
        assert step not in self.lines
        self.lines[step] = facts

    def close(self) -> None:
        self.closed = True


def watched(tmp_path: Path, *trackers: Kept, told: int = -1) -> tuple[StageContext, Heard, Watch]:
    ctx, heard = context(str(tmp_path), "pretrain")
    with heard.progress("b", 1, "tokens") as bar:
        return ctx, heard, Watch(ctx, bar, 2, trackers, told)


def say(ctx: StageContext, step: int, index: int = 0, events: list[dict[str, Any]] | None = None) -> None:
    status = Status(ctx.folder, index)
    status.members = 2
    status.write(step, {"loss": 1.0, "tokens": 10 * step}, events or [], force=True)


def test_the_bar_follows_the_replica_that_is_farthest(tmp_path: Path) -> None:
    ctx, heard, watch = watched(tmp_path)
    watch()  # before anybody spoke
    for step, index in ((1, 0), (3, 1), (2, 0)):
        say(ctx, step, index)
        watch()
    assert heard.bars["b"] == 30


def test_what_a_run_does_to_itself_is_told_once(tmp_path: Path) -> None:
    ctx, heard, watch = watched(tmp_path, told=2)
    events = [{"kind": "guard", "step": step, "action": "skip"} for step in (1, 5, 5, 8)]
    say(ctx, 6, 0, events[:3])
    say(ctx, 6, 1, events[:3])
    watch()
    say(ctx, 9, 0, events)
    watch()
    assert [e["step"] for e in heard.events if e["kind"] == "guard"] == [5, 5, 8]


def test_trackers_get_each_line_once_and_the_last_at_the_end(tmp_path: Path) -> None:
    kept = Kept()
    ctx, _, watch = watched(tmp_path, kept)
    log = StepLog(ctx.folder, 0)
    for step in range(3):
        log.add({"step": step, "loss": 2.0, "seconds": 0.5, "skipped": "gradient not finite"})
    log.write()
    watch.track()
    log.add({"step": 3, "loss": 1.0, "seconds": 0.5})
    log.write()
    watch.close()
    assert kept.lines[0] == {"loss": 2.0, "seconds": 0.5}
    assert sorted(kept.lines) == [0, 1, 2, 3] and kept.closed


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_refused_with_what_installs_it(name: str, tmp_path: Path) -> None:
    ctx, _ = context(str(tmp_path), "pretrain")
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        start_trackers([name], ctx.folder, {})
