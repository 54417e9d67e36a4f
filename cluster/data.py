"""Independent tasks on Ray Data: each commits what it made itself, and only numbers come back. Knows no stage.

Errors of ours leave a task as text in its row: Ray Data wraps what a task raises, and of the wrapped error only the
words survive the way to the driver.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cluster import errors
from cluster.errors import FirstlightError
from cluster.interrupts import counted
from cluster.telemetry import Bar

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Task:
    """One call of a function: its keyword arguments as JSON-able data, and the piece that stands when it is done."""

    name: str
    arguments: dict[str, Any]
    weight: float  # on the progress bar


def run_tasks(
    function: Callable[..., dict[str, float]],
    tasks: Sequence[Task],
    stands: Callable[[str], bool],
    cpus: float,
    bar: Bar,
) -> None:
    """Call a picklable function for each task whose piece does not stand yet, in no particular order.

    The numbers that the calls return are added up, and shown on the bar. Raises the first FirstlightError of a call as
    it was raised, and KeyboardInterrupt for a Ctrl-C, whatever Ray Data was doing when it came.
    """
    missing = [task for task in tasks if not stands(task.name)]
    bar.advance(sum(task.weight for task in tasks) - sum(task.weight for task in missing))
    if not missing:
        return
    rows = [{"arguments": json.dumps(task.arguments), "weight": float(task.weight)} for task in missing]
    total: Counter[str] = Counter()
    with _interruptible() as check:
        import ray.data

        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            partial(_call, function=function), batch_size=1, batch_format="pyarrow", num_cpus=cpus
        )
        for row in done.iter_rows():
            check()
            if row["error"]:
                raise unpack(row["error"])
            total.update(json.loads(row["numbers"]))
            bar.advance(row["weight"], **total)


def _call(batch: "pa.Table", function: Callable[..., dict[str, float]]) -> "pa.Table":
    """One task, on a worker: what the function returned, or what was wrong."""
    import pyarrow as pa

    (row,) = batch.to_pylist()
    numbers, error = dict[str, float](), ""
    try:
        numbers = function(**json.loads(row["arguments"]))
    except FirstlightError as caught:
        error = pack(caught)
    return pa.table({"numbers": [json.dumps(numbers)], "weight": [row["weight"]], "error": [error]})


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Let a Ctrl-C leave the block as KeyboardInterrupt, also where the library makes another error of it.

    Yields a function that raises it where the library has swallowed it.
    """
    with counted() as seen:

        def check() -> None:
            if seen:
                raise KeyboardInterrupt

        try:
            yield check
        except Exception as error:
            if seen:
                raise KeyboardInterrupt from error
            raise
    check()


def pack(error: FirstlightError) -> str:
    """Class and arguments of an error."""
    arguments = error.__reduce__()[1]
    return json.dumps([type(error).__name__, list(arguments)], default=str)


def unpack(text: str) -> FirstlightError:
    """The error again; as a FirstlightError with the same words where its class is not one of cluster.errors."""
    name, arguments = json.loads(text)
    kind = getattr(errors, name, FirstlightError)
    made: FirstlightError = kind(*arguments)
    return made
