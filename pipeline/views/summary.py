"""What a finished `run` says at its end: a short table, the headline figures, and where the report is."""

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from cluster.storage import open_storage
from cluster.telemetry import Terminal, read_events
from pipeline import figures
from pipeline.run import Made
from pipeline.stage import StageFolder
from pipeline.stages import views

COLUMNS = 80
QUIET = ("stage_start", "stage_done", "stage_failed", "progress", "replica_joined", "members_changed")
MOST_OF_A_KIND = 5  # events of one kind and stage that are printed


def print_summary(run: str, made: list[Made], terminal: Terminal) -> None:
    """One line a stage: time, whether it stood already, digest, and its first headline figure."""
    terminal.say("")
    terminal.say(f"{'stage':<20}{'time':>9}  {'digest':<14}what came out")
    told = {view.name: view for view in views()}
    for one in made:
        view = told[one.stage]
        inputs = {name: StageFolder.open(run, name) for name in view.inputs}
        section = view.section(StageFolder.open(run, one.stage), inputs)
        said = ", ".join(f"{value}: {name}" for name, value in section.headline[:1]) if section else ""
        time = figures.seconds(one.seconds) if one.fresh else "stood"
        head = f"{one.stage:<20}{time:>9}  {one.digest[:12]:<14}"
        terminal.say(head + textwrap.shorten(said, COLUMNS - len(head), placeholder=" ..."))
    total = sum(one.seconds for one in made if one.fresh)
    terminal.say("")
    terminal.say(f"{'all':<20}{figures.seconds(total):>9}")
    print_warnings(run, terminal, [one.stage for one in made])
    terminal.say(f"report   {Path(run) / 'report.html'}")
    talks = any(one.stage in ("finetune", "rlhf", "export") for one in made)
    terminal.say(f"next     firstlight {'chat' if talks else 'report'} {run}")


def print_warnings(run: str, terminal: Terminal, stages: list[str]) -> None:
    """What stages told beside their course when they were last made: much text lost, files set aside, faults."""
    told: dict[str, list[dict[str, Any]]] = {stage: [] for stage in stages}
    for event in read_events(open_storage(run)):
        stage, kind = event.get("stage"), event["kind"]
        if kind == "stage_start" and stage in told:
            told[stage] = []
        elif stage in told and kind not in QUIET:
            told[stage].append(event)
    if any(told.values()):
        terminal.say("")
    for stage, events in told.items():
        count: Counter[str] = Counter()
        for event in events:
            count[event["kind"]] += 1
            if count[event["kind"]] <= MOST_OF_A_KIND:
                _warn(terminal, f"{stage}: {_said(event)}")
        for kind, n in count.items():
            if n > MOST_OF_A_KIND:
                _warn(terminal, f"{stage}: {kind.replace('_', ' ')}, {n - MOST_OF_A_KIND:,} more, in the report")


def _warn(terminal: Terminal, text: str) -> None:
    text = textwrap.shorten(figures.clean(text), 4 * COLUMNS, placeholder=" ...")
    terminal.say(textwrap.fill(text, COLUMNS, initial_indent="warning  ", subsequent_indent=" " * 9))


def _said(event: dict[str, Any]) -> str:
    facts = {name: value for name, value in event.items() if name not in ("t", "kind", "stage", "what", "trace")}
    what = str(event.get("what") or event["kind"].replace("_", " "))
    said = (
        f"{n.replace('_', ' ')} {v:.1%}" if n == "share" else f"{n.replace('_', ' ')} {v}" for n, v in facts.items()
    )
    return what + ": " + ", ".join(said)
