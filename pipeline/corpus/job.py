"""Runs the corpus stage on Ray Data: tasks take one piece of work each, and commit what they made themselves.

No shuffle, sort, join or actor pool of Ray Data is used: on data of one machine each costs seconds, and their order
is not ours. The driver plans on columns without text; texts move from piece to piece inside tasks.
"""

from functools import partial
from typing import Any

from cluster.data import Task, run_tasks
from pipeline.corpus import work
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.prepare import prepare
from pipeline.stage import StageContext, StageFolder


def run(ctx: StageContext) -> None:
    """Make the corpus."""
    config = ctx.config.corpus

    def run_phase(label: str, function: str, tasks: list[Task], unit: str) -> None:
        do = partial(_do, ctx.folder, config, function)
        with ctx.progress(label, sum(task.weight for task in tasks), unit) as bar:
            run_tasks(do, tasks, ctx.folder.done, config.task_cpus, bar)

    prepare(ctx, run_phase)


def _do(folder: StageFolder, config: CorpusConfig, function: str, **arguments: Any) -> dict[str, float]:
    """One task: call the function, and say how many documents it saw."""
    return {"documents": getattr(work, function)(folder, config, **arguments)}
