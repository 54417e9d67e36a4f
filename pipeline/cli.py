"""The command line: one verb a function. Imports a verb's own modules only when it runs, so that help is quick.

Exit codes: 0 done, 1 a failed run, 2 the user's mistake, 130 Ctrl-C.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.errors import ConfigError, FirstlightError, UserError
from pipeline import cli_jobs

app = typer.Typer(
    name="firstlight",
    help="Train a language model from scratch: raw text to an aligned chat model, on a laptop or a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

INSPECTED = ("corpus", "tokens")  # stages with an inspect.py
Run = Annotated[str, typer.Argument(help="The run directory.", metavar="RUN")]
Recipe = Annotated[str, typer.Argument(help="A recipe's name, or a TOML file.", metavar="RECIPE")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Override a field: a.b=value. May be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


@app.command(epilog="Example: firstlight run tiny --out runs/tiny --set pretrain.tokens=500000")
def run(
    recipe: Recipe = "tiny",
    out: Annotated[str, typer.Option("--out", help="The run directory; runs/RECIPE where not given.")] = "",
    sets: Sets = None,
    until: Annotated[str, typer.Option("--until", help="The last stage to make.", metavar="STAGE")] = "",
) -> None:
    """Run a recipe to its end. What stands already is not made again, so the same command resumes a run."""
    from cluster.telemetry import Terminal
    from pipeline.recipes import load
    from pipeline.run import run_journey

    config = load(recipe, sets or [])
    folder = str(Path(out or f"runs/{config.recipe}").absolute()) if "://" not in out else out
    terminal = Terminal(sys.stdout)
    made = run_journey(config, folder, terminal, until or None)
    _view("summary").print_summary(folder, made, terminal)


@app.command(epilog="Example: firstlight plan tiny --set pretrain.tokens=10000000")
def plan(recipe: Recipe = "tiny", sets: Sets = None, as_json: Json = False) -> None:
    """Predict a recipe's parameters, FLOPs, memory and time, with the code that trains. Makes nothing."""
    from pipeline.recipes import load

    config, view = load(recipe, sets or []), _view("plan")
    found = view.make_plan(config, view.measure_rate(config.pretrain.threads))
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        view.print_plan(found)


@app.command(epilog="Example: firstlight status runs/tiny --json")
def status(run: Run, as_json: Json = False) -> None:
    """Show how far each stage of a run is."""
    from dataclasses import asdict

    from pipeline.stages import JOURNEY

    found = _view("status").status(run, JOURNEY)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        _view("status").print_status(found)


@app.command(epilog="Example: firstlight report runs/tiny")
def report(run: Run) -> None:
    """Write report.html and report.md anew, for a run that is done, failed or still going."""
    from pipeline.stages import summaries, views

    for path in _view("report").write_report(run, views(), summaries()):
        print(path)


@app.command(epilog="Example: firstlight verify runs/tiny")
def verify(run: Run) -> None:
    """Recompute every checksum and the lineage; one line a stage: STAGE DIGEST. Two runs are equal when these are."""
    from pipeline.run import read_config
    from pipeline.stage import open_run
    from pipeline.stages import JOURNEY

    broken = False
    for verdict in _view("verify").verify(run, JOURNEY, read_config(open_run(run))):
        print(verdict.line)
        broken |= verdict.state == "broken"
    if broken:
        raise typer.Exit(1)


@app.command(epilog="Example: firstlight swap runs/tiny --at 400 --set optim.peak_lr=1e-4")
def swap(
    run: Run,
    at: Annotated[int, typer.Option("--at", help="The first step with the new values.", min=1)],
    sets: Annotated[list[str], typer.Option("--set", help="optim.FIELD, model.activation, model.dropout or batch.")],
) -> None:
    """Change optimiser, rate, activation, dropout or batch of a run that is pretraining, from a step on."""
    from pipeline.config import parse_set
    from pipeline.pretrain.swap import ask
    from pipeline.run import read_config
    from pipeline.stage import open_run

    storage = open_run(run)
    print(ask(storage, read_config(storage), at, dict(parse_set(text) for text in sets)))


@app.command(epilog="Example: firstlight inspect runs/tiny corpus --step near_dup --source code -n 5")
def inspect(
    run: Run,
    stage: Annotated[str, typer.Argument(help="corpus or tokens.", metavar="STAGE")],
    step: Annotated[str, typer.Option("--step", help="Only documents that this step dropped.")] = "",
    source: Annotated[str, typer.Option("--source", help="Only documents of this source.")] = "",
    n: Annotated[int, typer.Option("-n", help="How many documents.", min=1)] = 5,
    kinds: Annotated[
        str, typer.Option("--kinds", help="Kinds of tokenisers to compare: bytes,word, all or none.")
    ] = "all",
) -> None:
    """Look at what a stage made: documents with reasons and partners, or the tokeniser."""
    from cluster.telemetry import Terminal
    from pipeline.stage import StageFolder

    if stage not in INSPECTED:
        raise ConfigError("STAGE", stage, "there is nothing to inspect there", f"Take {' or '.join(INSPECTED)}")
    asked = {"step": step, "source": source, "n": n, "kinds": kinds}
    section = importlib.import_module(f"pipeline.{stage}.inspect").show(StageFolder.open(run, stage), asked)
    _view("terminal").print_section(section)
    if not step:
        _view("summary").print_warnings(run, Terminal(sys.stdout), [stage])


@app.command(epilog="Example: firstlight chat runs/tiny --temperature 0.3")
def chat(
    run: Run,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.", min=0)] = 0.7,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same replies.")] = 0,
) -> None:
    """Talk with a run's newest model, a line at a time. /new begins again; an end of input ends it."""
    door = _view("chat")
    opened = door.open_chat(run)
    if sys.stdin.isatty():
        print(f"The model of stage {opened.stage}. /new begins again, Ctrl-D ends.")
    for answer in door.talk(opened, _lines(), door.Style(temperature=temperature, seed=seed)):
        print(f"< {answer.text}" + (f"  [forgot {answer.forgotten} turns]" if answer.forgotten else ""), flush=True)


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return


app.registered_commands += cli_jobs.app.registered_commands


def _view(name: str) -> Any:
    return importlib.import_module(f"pipeline.views.{name}")


def main() -> None:
    """The entry point: prints errors of ours as they are, without a traceback."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FirstlightError as error:
        kind = "error" if isinstance(error, UserError) else "failed"
        print(f"{kind}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        import click

        if isinstance(error, click.ClickException):
            error.show()
            sys.exit(error.exit_code)
        if isinstance(error, click.Abort):
            sys.exit(130)
        raise
