"""Checkpoints beside the training, not in its way: copied in the step's path, written in one thread. Knows no task.

A checkpoint is a folder below ``checkpoints/`` whose name is its step; its manifest is written last, so one that was
cut short by a death does not count, and the next run writes over it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from models import checkpoint
from pipeline.stage import StageFolder

TOP = "checkpoints"
State = tuple[dict[str, Tensor], dict[str, Any]]


class Checkpoints:
    """Writes a run's checkpoints, one at a time. ``stalled`` are the seconds that its callers stood still."""

    def __init__(self, folder: StageFolder, keep: int = 2, every: int = 0) -> None:
        self._folder, self._keep, self._every = folder, keep, every
        self._pool = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[None] | None = None
        self.stalled = 0.0

    def save(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Copy a state and return; it is written behind the caller's back, after the one before.

        Raises what the one before was stopped by, a full disk for one.
        """
        start = time.perf_counter()
        self.join()
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self._writing = self._pool.submit(self._write, step, copies, dict(facts))
        self.stalled += time.perf_counter() - start

    def join(self) -> None:
        """Wait until what was saved stands. Raises what stopped it."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _write(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        checkpoint.save(self._folder.write_bytes, f"{TOP}/{step:07d}", tensors, facts)
        drop_old(self._folder, self._keep, self._every)


def kept(steps: Sequence[int], keep: int, every: int = 0) -> set[int]:
    """The steps whose checkpoints stay: the newest ``keep``, and the multiples of ``every`` where it is not 0."""
    return {*sorted(steps)[-keep:], *(step for step in steps if every and step % every == 0)}


def drop_old(folder: StageFolder, keep: int, every: int = 0) -> None:
    """Take away what the rule does not keep, and what is older than the oldest of the newest and was never whole.

    A half-written one that is newer stays: another replica may be at it.
    """
    whole = steps(folder)
    stay, oldest = kept(whole, keep, every), min(whole[-keep:], default=0)
    for name in {key.removeprefix(folder.key(TOP)).split("/")[1] for key in folder.storage.list(folder.key(TOP))}:
        if int(name) < oldest and int(name) not in stay:
            folder.drop(f"{TOP}/{name}/manifest.json")  # first, so that it is never half a checkpoint
            folder.storage.delete_folder(folder.key(f".pieces/{TOP}/{name}"))
            folder.storage.delete_folder(folder.key(f"{TOP}/{name}"))


def newest(folder: StageFolder) -> tuple[State | None, list[str]]:
    """The newest checkpoint that is whole, each byte checked, and why newer ones were passed over."""
    refused: list[str] = []
    for piece in reversed(manifests(folder)):
        found, reason = read(folder, piece)
        if found:
            return found, refused
        refused.append(reason)
    return None, refused


def read(
    folder: StageFolder, piece: str, take: Callable[[str, Tensor], Tensor | None] = lambda _, tensor: tensor
) -> tuple[State | None, str]:
    """What a manifest stands for, each byte checked, or None and why it is refused; `take` as `checkpoint.load`."""
    try:
        return checkpoint.load(folder.read_bytes, piece.rsplit("/", 1)[0], take), ""
    except Exception as error:  # a broken checkpoint costs steps, not the run
        return None, f"{piece}: {error}"


def steps(folder: StageFolder) -> list[int]:
    """The steps whose checkpoints are whole, the newest last."""
    return [int(piece.split("/")[1]) for piece in manifests(folder)]


def manifests(folder: StageFolder) -> list[str]:
    """The manifests that stand, the newest last."""
    return [piece for piece in folder.pieces(f"{TOP}/") if piece.endswith("/manifest.json")]
