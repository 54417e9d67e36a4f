"""How far a run is: one line a stage, from its manifests, its events and its lease. Knows no stage by name."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Protocol

from cluster import lease
from cluster.storage import LocalStorage
from cluster.telemetry import read_events
from pipeline.sections import Cell, Table
from pipeline.stage import StageFolder, open_run

Event = dict[str, Any]

_ENDS = ("stage_done", "stage_failed", "stage_stopped")


class Named(Protocol):
    """Whatever carries a stage's name: a Stage or a StageView."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class StageStatus:
    """One stage: done, running, stopped (its driver is gone), failed or absent.

    `seconds` is the time of the last driver that worked on it; `progress` counts the pieces of an unfinished stage.
    """

    stage: str
    state: str
    seconds: float | None = None
    memory_bytes: int | None = None
    digest: str = ""
    progress: str = ""
    why: str = ""
    trace: str = ""


def status(run: str, stages: Iterable[Named]) -> list[StageStatus]:
    """The stages in the order given. Raises RunDirError where the folder holds no run."""
    storage = open_run(run)
    events = _told(list(read_events(storage)))
    live = driver_lives(storage)
    return [_stage(run, stage.name, [e for e in events if e.get("stage") == stage.name], live) for stage in stages]


def print_status(found: list[StageStatus]) -> None:
    """One line a stage on standard output, and why it failed where it did."""
    from pipeline import figures
    from pipeline.views import terminal

    rows: list[list[Cell]] = [
        [one.stage, one.state, figures.seconds(one.seconds), one.digest[:12] or None, one.progress or None]
        for one in found
    ]
    terminal.print_table(Table("", ["stage", "state", "time", "digest", "stands"], rows))
    for one in found:
        if one.why:
            terminal.print_table(Table("", [f"{one.stage} failed"], [[one.why]]))


def driver_lives(storage: LocalStorage) -> bool:
    """Whether a driver holds the run now: the newest lease's process lives, or its heart beats."""
    newest = max((key for key in storage.list("lease") if key.endswith(".json")), default=None)
    if newest is None:
        return False
    return lease.alive(storage, int(PurePath(newest).stem), json.loads(storage.get(newest)))


def _told(events: list[Event]) -> list[Event]:
    """The events, where a stage that only Ctrl-C ended is not told as failed."""
    told: list[Event] = []
    for event in events:
        if event["kind"] == "interrupted" and told and told[-1]["kind"] == "stage_failed":
            told[-1] = {**told[-1], "kind": "stage_stopped"}
        told.append(event)
    return told


def _stage(run: str, name: str, events: list[Event], live: bool) -> StageStatus:
    folder = StageFolder.open(run, name)
    manifest = folder.manifest()
    if manifest:  # a driver that makes a stage anew takes its old manifest away first
        observed = manifest["observed"]
        seconds, memory = observed.get("seconds"), observed.get("peak_memory_bytes")
        return StageStatus(name, "done", seconds, memory, str(manifest["digest"]))
    last = next((e for e in reversed(events) if e["kind"] in _ENDS or e["kind"] == "stage_start"), None)
    progress = _pieces(folder)
    if last is None or last["kind"] == "stage_done":
        return StageStatus(name, "absent", progress=progress)
    if last["kind"] == "stage_failed":
        why, trace = str(last.get("why") or "no reason was kept"), str(last.get("trace", ""))
        return StageStatus(name, "failed", _working(events, last), progress=progress, why=why, trace=trace)
    running = last["kind"] == "stage_start" and live
    end = {"t": datetime.now(UTC).isoformat()} if running else events[-1]
    return StageStatus(name, "running" if running else "stopped", _working(events, end), progress=progress)


def _working(events: list[Event], end: Event) -> float | None:
    """Seconds from the last start to `end`."""
    start = next((e for e in reversed(events) if e["kind"] == "stage_start"), None)
    if start is None:
        return None
    took = datetime.fromisoformat(end["t"]) - datetime.fromisoformat(start["t"])
    return max(0.0, took.total_seconds())


def _pieces(folder: StageFolder) -> str:
    count = len(folder.pieces())
    return f"{count:,} piece{'' if count == 1 else 's'}" if count else ""
