"""Runs the corpus stage on Ray Data: tasks take one piece of work each, and commit what they made themselves.

No shuffle, sort, join or actor pool of Ray Data is used: on data of one machine each costs seconds, and their order
is not ours. The driver plans on columns without text; texts move from piece to piece inside tasks.
"""

import json
from functools import partial

import pyarrow as pa
import ray.data

from cluster.errors import FirstlightError
from pipeline.corpus import failure, work
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.prepare import Task, prepare
from pipeline.stage import StageContext, StageFolder


def run(ctx: StageContext) -> None:
    """Make the corpus."""

    def run_tasks(label: str, function: str, tasks: list[Task], unit: str) -> None:
        _run(ctx, label, function, tasks, unit)

    prepare(ctx, run_tasks)


def _run(ctx: StageContext, label: str, function: str, tasks: list[Task], unit: str) -> None:
    """Do the tasks whose pieces do not stand yet, in no particular order."""
    missing = [task for task in tasks if not ctx.folder.done(task.name)]
    with ctx.progress(label, sum(task.weight for task in tasks), unit) as bar:
        bar.advance(sum(task.weight for task in tasks) - sum(task.weight for task in missing))
        if not missing:
            return
        rows = [{"arguments": json.dumps(task.arguments), "weight": task.weight} for task in missing]
        do = partial(_do, folder=ctx.folder, config=ctx.config.corpus, function=function)
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            do, batch_size=1, batch_format="pyarrow", num_cpus=ctx.config.corpus.task_cpus
        )
        documents = 0
        for row in done.iter_rows():
            if row["error"]:
                raise failure.unpack(row["error"])
            documents += row["documents"]
            bar.advance(row["weight"], documents=documents)


def _do(batch: pa.Table, folder: StageFolder, config: CorpusConfig, function: str) -> pa.Table:
    """One task: call the function, and say how many documents it saw, or what was wrong."""
    (row,) = batch.to_pylist()
    documents, error = 0, ""
    try:
        documents = getattr(work, function)(folder, config, **json.loads(row["arguments"]))
    except FirstlightError as caught:
        error = failure.pack(caught)
    return pa.table({"documents": [documents], "weight": [row["weight"]], "error": [error]})
