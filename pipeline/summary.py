"""What a finished `run` says at its end: a short table, the headline figures, and where the report is."""

import textwrap
from pathlib import Path

from cluster.telemetry import Terminal
from pipeline import figures
from pipeline.run import Made
from pipeline.stage import StageFolder
from pipeline.stages import views

COLUMNS = 80


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
    terminal.say(f"report   {Path(run) / 'report.html'}")
    talks = any(one.stage in ("finetune", "rlhf", "export") for one in made)
    terminal.say(f"next     firstlight {'chat' if talks else 'report'} {run}")
