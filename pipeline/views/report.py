"""A run's report, HTML and its Markdown twin: a view of what stands, outside the lineage.

It works for a run that failed or is still going. It knows no stage: each one's view makes its own section.
"""

import importlib
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from cluster.storage import LocalStorage
from cluster.telemetry import read_events
from pipeline import figures
from pipeline.sections import Cell, Section, StageView, Summary, Table
from pipeline.stage import StageFolder, open_run
from pipeline.views.compare import predicted_and_measured
from pipeline.views.document import Document, Failure, Figure, Group, Part, Row
from pipeline.views.status import Event, StageStatus, status

FORMATS = {"report.html": "html", "report.md": "markdown"}  # file -> the module of render/ that writes it
MOST_FIGURES, MOST_EVENTS = 12, 60
ROUTINE = ("run_start", "run_done", "stage_start", "stage_done", "stage_failed", "interrupted", "progress")
FAULTS = ("fault", "actor_lost", "checkpoint_refused")
REMEDY = "What stands is kept: mend the cause and give the same command again, and it goes on from there."


def write_report(run: str, views: Sequence[StageView], summaries: Sequence[Summary] = ()) -> tuple[str, str]:
    """Write report.html and report.md into the run directory and return their paths. Raises RunDirError."""
    storage = open_run(run)
    document = gather(run, views, summaries)
    pages: dict[str, str] = {}
    for name, kind in FORMATS.items():
        pages[name] = importlib.import_module(f"pipeline.views.render.{kind}").page(document)
    for name, text in pages.items():
        storage.put(name, text.encode())
    paths = [str(storage.path(name)) for name in pages]
    return paths[0], paths[1]


def gather(run: str, views: Sequence[StageView], summaries: Sequence[Summary] = ()) -> Document:
    """The report as data. Raises RunDirError where the folder holds no run."""
    storage = open_run(run)
    events = list(read_events(storage))
    found = status(run, views)
    manifests = {view.name: StageFolder.open(run, view.name).manifest() or {} for view in views}
    parts = [_part(run, view, one.state) for view, one in zip(views, found, strict=True)]
    config = storage.get("run.toml").decode() if storage.exists("run.toml") else ""
    state = _state(found)
    return Document(
        title=PurePath(str(storage)).name,
        state=state,
        summary=_summary(state, found),
        facts=_facts(events, found, config),
        rows=_rows(found),
        parts=parts,
        failure=next((Failure(s.stage, s.why, s.trace, REMEDY) for s in found if s.state == "failed"), None),
        summaries=_summaries(run, views, summaries),
        figures=_figures(parts),
        groups=[*predicted_and_measured(_plan(storage), run, manifests), *_happenings(events)],
        environment=_environment(events, manifests),
        config=config,
    )


def _part(run: str, view: StageView, state: str) -> Part:
    folder = StageFolder.open(run, view.name)
    inputs = {name: StageFolder.open(run, name) for name in view.inputs}
    try:
        return Part(view.name, state, view.section(folder, inputs))
    except Exception as error:  # a half-made stage must not take the rest of the report away
        return Part(view.name, state, None, f"This section could not be drawn: {type(error).__name__}: {error}")


def _summaries(run: str, views: Sequence[StageView], summaries: Sequence[Summary]) -> list[Section]:
    folders = {view.name: StageFolder.open(run, view.name) for view in views}
    made = []
    for summary in summaries:
        try:
            made.append(summary(folders))
        except Exception as error:
            made.append(Section("summary", "A summary that could not be drawn", f"{type(error).__name__}: {error}", []))
    return [section for section in made if section is not None]


def _state(found: list[StageStatus]) -> str:
    states = {one.state for one in found}
    if states == {"done"}:
        return "finished"
    return next((state for state in ("running", "failed") if state in states), "stopped")


def _summary(state: str, found: list[StageStatus]) -> str:
    done = sum(one.state == "done" for one in found)
    took = figures.seconds(sum(one.seconds or 0.0 for one in found))
    count = f"{done} of {len(found)} stages done" if done < len(found) else f"All {done} stages done"
    at = next((one.stage for one in found if one.state == state), "")
    return f"{count}, {took} of work{f', in stage {at}' if at else ''}."


def _rows(found: list[StageStatus]) -> list[Row]:
    total = sum(one.seconds or 0.0 for one in found)
    rows, begin = [], 0.0
    for one in found:
        share = (one.seconds or 0.0) / total if total else 0.0
        half = one.progress and one.state in ("running", "stopped", "failed")
        said = f"{one.state}, {one.progress} made" if half else ""
        rows.append(Row(one.stage, one.state, one.seconds, begin, share, one.memory_bytes, one.digest, said))
        begin += share
    return rows


def _facts(events: list[Event], found: list[StageStatus], config: str) -> list[tuple[str, str]]:
    facts = []
    recipe = next((line.split("=", 1)[1].strip(' "') for line in config.splitlines() if line.startswith("recipe")), "")
    if recipe:
        facts.append(("recipe", recipe))
    if events:
        facts.append(("started", _when(events[0]["t"])))
        facts.append(("last event", _when(events[-1]["t"])))
    peak = max((one.memory_bytes or 0 for one in found), default=0)
    if peak:
        facts.append(("peak memory", figures.size(peak)))
    if found and found[-1].digest:
        facts.append((f"digest of {found[-1].stage}", found[-1].digest[:16]))
    facts.append(("faults", f"{sum(e['kind'] in FAULTS for e in events)}"))
    return facts


def _figures(parts: list[Part]) -> list[Figure]:
    """The first headline of every stage, then the second ones, as many as fit; in the order of the stages."""
    told = [(rank, i, *pair) for i, p in enumerate(parts) if p.section for rank, pair in enumerate(p.section.headline)]
    chosen = sorted(sorted(told)[:MOST_FIGURES], key=lambda t: (t[1], t[0]))
    return [Figure(name, value, parts[i].stage) for _, i, name, value in chosen]


def _plan(storage: LocalStorage) -> dict[str, Any]:
    if not storage.exists("plan.json"):
        return {}
    plan: dict[str, Any] = json.loads(storage.get("plan.json"))
    return plan


def _happenings(events: list[Event]) -> list[Group]:
    """Everything that was told besides the beginning and end of stages: faults, lost actors, new members."""
    told = [event for event in events if event["kind"] not in ROUTINE]
    rows: list[list[Cell]] = []
    for event in told[:MOST_EVENTS]:
        facts = {k: v for k, v in event.items() if k not in ("t", "kind", "stage", "what", "trace")}
        what = [str(event.get("what") or event["kind"].replace("_", " "))]
        said = ", ".join([*what, *(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())])
        rows.append([_when(event["t"]), event.get("stage"), said])
    more = len(told) - MOST_EVENTS
    note = f"{more:,} later ones stand in the folder events." if more > 0 else ""
    return [Group("What happened on the way", [Table("", ["when", "stage", "what"], rows, note)])] if rows else []


def _environment(events: list[Event], manifests: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """The machine as the last driver told it, and every version that a stage was made with."""
    told = next((e for e in reversed(events) if e["kind"] == "run_start"), {})
    facts = {k: v for k, v in told.items() if k not in ("t", "kind", "recipe")}
    lines = [(name.replace("_", " "), value) for name, value in _flat(facts)]
    versions: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for name, version in manifest.get("observed", {}).get("versions", {}).items():
            versions.setdefault(name, set()).add(str(version))
    told_names = {name for name, _ in lines}
    return lines + [(name, ", ".join(sorted(v))) for name, v in sorted(versions.items()) if name not in told_names]


def _flat(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += _flat(value)
        elif name.endswith("_bytes") or name == "memory":
            lines.append(
                (name.removesuffix("_bytes"), figures.size(value) if isinstance(value, int | float) else str(value))
            )
        else:
            lines.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return lines


def _when(t: str) -> str:
    """2026-01-02T03:04:05.678+00:00 -> 2026-01-02 03:04:05 UTC."""
    day, _, clock = t.partition("T")
    return f"{day} {clock[:8]} UTC"
