"""What replicas tell their driver, and what the driver makes of it: the bar, events, and metrics for trackers.

Both sides stand here, as they share one file a replica. Knows no replica's inside, and no tracker.
"""

import importlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from cluster.telemetry import Bar
from pipeline.pretrain import steplog
from pipeline.stage import StageContext, StageFolder

STATUS_EVERY_S = 0.5
TRACK_EVERY_S = 5.0


class Tracker(Protocol):
    """A place outside of the run that metrics go to: a module of trackers/, whose `start` makes one."""

    def log(self, step: int, facts: dict[str, float]) -> None:
        """Numbers of one step, by name."""

    def close(self) -> None:
        """Bring everything out."""


def start_trackers(names: Sequence[str], folder: StageFolder, config: dict[str, Any]) -> list[Tracker]:
    """The trackers of these names. Raises ConfigError where a package is missing, with what installs it."""
    modules = [importlib.import_module(f"pipeline.pretrain.trackers.{name}") for name in names]
    return [module.start(folder.storage.path(folder.key("timing")), folder.run, config) for module in modules]


class Status:
    """What a replica tells its driver twice a second, outside the result: step, members, redone steps."""

    def __init__(self, folder: StageFolder, index: int) -> None:
        self._folder, self._index, self._last = folder, index, 0.0
        self.redone, self.members, self.refused = 0, 0, list[str]()

    def write(self, step: int, line: dict[str, Any], events: list[dict[str, Any]], force: bool = False) -> None:
        """Tell the committed step, the last line of history, and all events of the run so far."""
        now = time.monotonic()
        if not force and now - self._last < STATUS_EVERY_S:
            return
        self._last = now
        said: dict[str, Any] = {"step": step, "members": self.members, "redone": self.redone, "pid": os.getpid()}
        said |= {"loss": line.get("loss"), "tokens": line.get("tokens", 0), "refused": self.refused, "events": events}
        self._folder.storage.put(self._folder.key(f"timing/replica-{self._index}.json"), json.dumps(said).encode())


class Watch:
    """Reads what the replicas say; moves the bar, feeds trackers, and keeps deaths, returns, redone steps and what the
    run did to itself as events."""

    def __init__(
        self, ctx: StageContext, bar: Bar, replicas: int, trackers: Sequence[Tracker] = (), told: int = -1
    ) -> None:
        self._ctx, self._bar, self._replicas, self._trackers = ctx, bar, replicas, trackers
        self._tokens, self._seen = 0, dict[int, dict[str, Any]]()
        self._told, self._tracked = told, -1  # step of the newest event, and of the newest line that trackers have
        self._last = time.monotonic()

    def __call__(self) -> None:
        storage = self._ctx.folder.storage
        for index in range(self._replicas):
            try:
                said = json.loads(storage.get(self._ctx.folder.key(f"timing/replica-{index}.json")))
            except FileNotFoundError:
                continue
            before = self._seen.get(index)
            self._seen[index] = said
            self._compare(index, before, said)
        best = max(self._seen.values(), key=lambda s: int(s["tokens"]), default=None)
        if best and best["tokens"] > self._tokens:
            self._bar.advance(best["tokens"] - self._tokens, loss=best["loss"], replicas=best["members"])
            self._tokens = best["tokens"]
        if self._trackers and time.monotonic() - self._last > TRACK_EVERY_S:
            self.track()

    def close(self) -> None:
        """The last look, once the replicas have ended."""
        self()
        self.track()
        for tracker in self._trackers:
            tracker.close()

    def track(self) -> None:
        """Give the trackers the lines that are new."""
        self._last = time.monotonic()
        for line in steplog.read(self._ctx.folder, self._tracked) if self._trackers else ():
            self._tracked = line["step"]
            facts = {k: float(v) for k, v in line.items() if isinstance(v, int | float) and k != "step"}
            for tracker in self._trackers:
                tracker.log(line["step"], facts)

    def _compare(self, index: int, before: dict[str, Any] | None, said: dict[str, Any]) -> None:
        facts = {"replica": index, "step": said["step"]}
        if before is None or said["pid"] != before["pid"]:
            for reason in said["refused"]:
                self._ctx.event("fault", what="checkpoint refused", reason=reason, **facts)
        if before is None:
            self._ctx.event("replica_joined", pid=said["pid"], **facts)
        elif said["pid"] != before["pid"]:
            self._ctx.event("fault", what="replica died and returned", pid=said["pid"], **facts)
        elif said["redone"] > before["redone"]:
            self._ctx.event("fault", what="step redone", times=said["redone"] - before["redone"], **facts)
        if before and said["members"] and before["members"] and said["members"] != before["members"]:
            self._ctx.event("members_changed", before=before["members"], now=said["members"], **facts)
        for event in said["events"]:
            if event["step"] > self._told:
                self._ctx.event(**event)
        self._told = max([self._told, *(event["step"] for event in said["events"])])
