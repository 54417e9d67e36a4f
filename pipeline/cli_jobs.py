"""The verbs of jobs: submit, logs, stop. They import ray only when they run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.errors import UserError

if TYPE_CHECKING:
    from cluster.config import ClusterSpec
    from cluster.records import JobRecord

app = typer.Typer()

Job = Annotated[str, typer.Argument(help="The name that submit printed.", metavar="JOB")]


@app.command(epilog="Example: firstlight submit tiny --cluster local --out /data/runs/tiny --set pretrain.replicas=2")
def submit(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a TOML file.", metavar="RECIPE")],
    cluster: Annotated[
        str, typer.Option("--cluster", help="local, the address of a Jobs API, or a TOML file.", metavar="CLUSTER")
    ] = "local",
    out: Annotated[
        str, typer.Option("--out", help="The run directory, absolute or a URI; locally runs/RECIPE where not given.")
    ] = "",
    sets: Annotated[list[str] | None, typer.Option("--set", help="Override a field: a.b=value. May repeat.")] = None,
    until: Annotated[str, typer.Option("--until", help="The last stage to make.", metavar="STAGE")] = "",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the log until the job ends.")] = True,
) -> None:
    """Run a recipe as a Ray job. "local" starts a cluster of real processes where none of ours stands.

    Ctrl-C while the log is followed leaves the job running. A cluster that was started for the job ends with it.
    """
    from cluster import jobs
    from pipeline.config import check_dialogues
    from pipeline.recipes import load
    from pipeline.stages import through

    spec = jobs.read_spec(cluster)
    arguments = run_arguments(spec, recipe, out, sets or [])
    check_dialogues(load(recipe, sets or []), through(until))  # a mistake is told here, not by the job
    arguments += ["--until", until] if until else []
    record = jobs.submit(spec, Path(recipe).stem, arguments, _say)
    _say(f"job {record.job} at {record.address}")
    if not follow:
        _say(_how_on(record))
        return
    _follow(record)


@app.command(epilog="Example: firstlight logs tiny-1124-101500-3fa9 --no-follow")
def logs(
    job: Job,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the log until the job ends.")] = True,
) -> None:
    """Print a job's log. Exits as the job did, where it has ended; Ctrl-C leaves it running."""
    from cluster import jobs
    from cluster.records import JobRecord

    record = JobRecord.read(job)
    if follow and not record.status:
        _follow(record)
    _write(jobs.log_now(record))
    if record.status:
        sys.exit(jobs.exit_code(record))


@app.command(epilog="Example: firstlight stop tiny-1124-101500-3fa9")
def stop(job: Job) -> None:
    """Stop a job. What it made is kept: the same recipe and --out continue it. A head started for it is taken down."""
    from cluster import jobs
    from cluster.records import JobRecord

    record = jobs.stop(JobRecord.read(job))
    _say(f"job {record.job}: {record.status}")


def run_arguments(spec: "ClusterSpec", recipe: str, out: str, sets: list[str]) -> list[str]:
    """The arguments of python for the driver of a job. Raises UserError for what would mean another place there."""
    local = spec.address == "local"
    if not out and local:
        out = str(Path(f"runs/{Path(recipe).stem}").absolute())
    if "://" not in out and not Path(out).is_absolute():
        remedy = f"Give {Path(out).absolute()}" if local else "Give a path or URI that all hosts of the cluster share."
        raise UserError("--out", out, "a job's run directory must be absolute, as its driver starts elsewhere", remedy)
    if recipe.endswith(".toml"):
        recipe = _recipe_there(Path(recipe), local)
    return ["-m", "pipeline", "run", recipe, "--out", out, *[part for one in sets for part in ("--set", one)]]


def _recipe_there(path: Path, local: bool) -> str:
    """A recipe file's name as the driver finds it: only the checkout is shipped to a remote cluster."""
    from cluster.home import ROOT

    whole = path.resolve()
    if not whole.is_file():
        raise UserError("RECIPE", str(path), "there is no such file", "Name a recipe, or a TOML file that exists.")
    if local:
        return str(whole)
    if not whole.is_relative_to(ROOT):
        raise UserError("RECIPE", str(path), "only the checkout is shipped to a cluster", f"Put it below {ROOT}.")
    return str(whole.relative_to(ROOT))


def _follow(record: "JobRecord") -> None:
    from cluster import jobs

    try:
        record = jobs.follow(record, _write)
    except KeyboardInterrupt:
        _say(f"\njob {record.job} goes on. {_how_on(record)}")
        sys.exit(130)
    if record.local:
        jobs.wait_until_down(record)
    _say(f"job {record.job}: {record.status}")
    sys.exit(jobs.exit_code(record))


def _how_on(record: "JobRecord") -> str:
    return f"Its log: firstlight logs {record.job}. To end it: firstlight stop {record.job}"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
