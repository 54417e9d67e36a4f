"""Runs the corpus stage on Ray Data: tasks take one piece of work each, and commit what they made themselves.

No shuffle, sort, join or actor pool of Ray Data is used: on data of one machine each costs seconds, and their order
is not ours. The driver plans; texts and keys move from piece to piece inside tasks.
"""

from functools import partial
from typing import Any

from cluster.data import Task, run_tasks
from pipeline.corpus.prepare import prepare
from pipeline.corpus.work import Work
from pipeline.stage import StageContext


def run(ctx: StageContext) -> None:
    """Make the corpus."""

    def run_phase(label: str, work: Work, tasks: list[Task], unit: str) -> None:
        if not tasks:
            return
        with ctx.progress(label, sum(task.weight for task in tasks), unit) as bar:
            run_tasks(partial(_do, work), tasks, ctx.folder.done, ctx.config.corpus.task_cpus, bar)

    prepare(ctx, run_phase)


def _do(work: Work, **arguments: Any) -> dict[str, float]:
    """One task: do the work, and say how many documents it saw."""
    return {"documents": work(**arguments)}
