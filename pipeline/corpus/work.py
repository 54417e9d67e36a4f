"""What a step of the corpus stage is made of: tasks, which some runner calls. Knows no Ray."""

from collections.abc import Callable
from typing import TypeAlias

from cluster.data import Task

Work: TypeAlias = Callable[..., int]
"""``work(folder, config, name, **arguments)``: a function of its arguments that writes the piece ``name`` last, and
returns how many documents it saw."""

Runner: TypeAlias = Callable[[str, Work, list[Task], str], None]
"""(label, work, tasks, unit of their weights): when it returns, the piece of each task stands."""
