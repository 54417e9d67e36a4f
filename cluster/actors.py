"""A pool of actors that take whole chunks of work: a dead actor is replaced, and its chunk is done again.

A chunk's result must be a function of the chunk and the constructor's arguments; then neither the number of actors nor
a death changes what a map returns. Knows no stage.
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayActorError

from cluster.errors import FirstlightError

DEATHS_OF_ONE_CHUNK = 5
CHUNKS_AHEAD = 4  # of each actor: finished chunks that wait for an earlier one are kept in the object store


class ChunkLost(FirstlightError):
    """A chunk whose actor died each time that it was tried: the chunk, or the memory, is at fault."""


def broadcast(value: object) -> Any:
    """Put one immutable object that this process owns; give the ref to ``Pool.map`` as a shared argument.

    Arrays are read by all actors of a host without a copy. Keep the ref for as long as actors may ask for it.
    """
    return ray.put(value)


class Pool:
    """``size`` actors of one class, each made with the same arguments. Use it as a context manager, or close it.

    Args:
        actor_class: a plain class, not a remote one, importable on the workers.
        size: number of actors.
        arguments: of the constructor, also of each replacement.
        num_cpus: logical CPUs of each actor.
        num_gpus: GPUs of each actor.
    """

    def __init__(
        self, actor_class: type, size: int, *arguments: object, num_cpus: float = 1.0, num_gpus: float = 0.0
    ) -> None:
        assert size >= 1, "a pool has an actor"
        self._class: Any = ray.remote(actor_class).options(num_cpus=num_cpus, num_gpus=num_gpus, max_restarts=0)
        self._arguments = arguments
        self._actors: list[Any] = [self._class.remote(*arguments) for _ in range(size)]
        self.restarts = 0
        self.last_death = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the actors, also those that are busy."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def map(self, method: str, chunks: Iterable[object], *shared: object) -> Iterator[Any]:
        """Call ``actor.method(chunk, *shared)`` for each chunk; yield the results in the order of the chunks.

        A ref among ``shared`` arrives as its value. One map at a time.

        Raises:
            ChunkLost: a chunk's actor died ``DEATHS_OF_ONE_CHUNK`` times.
            Exception: what the method raised, with its traceback; it is not tried again.
        """
        todo = enumerate(chunks)
        retry: list[tuple[int, object]] = []
        deaths: dict[int, int] = {}
        busy: dict[Any, tuple[int, int, object]] = {}  # ref -> (place of the actor, index of the chunk, chunk)
        done: dict[int, Any] = {}
        idle = list(range(len(self._actors)))
        given = 0
        while True:
            while idle and (retry or len(busy) + len(done) < (1 + CHUNKS_AHEAD) * len(self._actors)):
                item = retry.pop() if retry else next(todo, None)
                if item is None:
                    break
                place = idle.pop()
                ref = getattr(self._actors[place], method).remote(item[1], *shared)
                busy[ref] = (place, *item)
            if not busy:
                assert not done, "all chunks before a finished one have been given"
                return
            for ref in ray.wait(list(busy), num_returns=1)[0]:
                place, index, chunk = busy.pop(ref)
                idle.append(place)
                try:
                    done[index] = ray.get(ref)
                except RayActorError as death:
                    deaths[index] = deaths.get(index, 0) + 1
                    self._replace(place, death, index, deaths[index])
                    retry.append((index, chunk))
            while given in done:
                yield done.pop(given)
                given += 1

    def _replace(self, place: int, death: RayActorError, index: int, times: int) -> None:
        """Put a new actor in the place of a dead one."""
        why = str(death)
        if death.actor_init_failed:
            raise FirstlightError(f"the constructor of a pool's actor failed:\n{why}") from death
        if times >= DEATHS_OF_ONE_CHUNK:
            raise ChunkLost(f"chunk {index} was tried {times} times, and each time its process died:\n{why}") from death
        self.restarts += 1
        self.last_death = why.splitlines()[0]
        self._actors[place] = self._class.remote(*self._arguments)
