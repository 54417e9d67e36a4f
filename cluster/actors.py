"""A pool of actors that take whole chunks of work: a dead actor is replaced, and its chunk is done again.

A chunk's result must be a function of the chunk and the constructor's arguments; then neither the number of actors nor
a death changes what a map returns. Work goes to actors that stand: those that find no place on the cluster stay unused.
Knows no stage.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayActorError

from cluster.errors import FirstlightError, UserError

DEATHS_OF_ONE_CHUNK = 5
DEATHS_AT_START = 5  # one after the other, before any actor stood
CHUNKS_AHEAD = 4  # of each actor: finished chunks that wait for an earlier one are kept in the object store
PLACEMENT_SECONDS = 300.0  # without any actor that stands; a cluster that grows needs minutes for a new host
LOOK_SECONDS = 1.0


class ChunkLost(FirstlightError):
    """A chunk whose actor died each time that it was tried: the chunk, or the memory, is at fault."""


def broadcast(value: object) -> Any:
    """Put one immutable object that this process owns; give the ref to ``Pool.map`` as a shared argument.

    Arrays are read by all actors of a host without a copy. Keep the ref for as long as actors may ask for it.
    """
    return ray.put(value)


class Pool:
    """Up to ``size`` actors of one class, each made with the same arguments. Use it as a context manager, or close it.

    Args:
        actor_class: a plain class, not a remote one, importable on the workers.
        size: number of actors; of them, as many as the cluster has room for get work.
        arguments: of the constructor, also of each replacement.
        num_cpus: logical CPUs of each actor.
        num_gpus: GPUs of each actor.
    """

    def __init__(
        self, actor_class: type, size: int, *arguments: object, num_cpus: float = 1.0, num_gpus: float = 0.0
    ) -> None:
        assert size >= 1, "a pool has an actor"
        self.name, self.num_cpus = actor_class.__name__, num_cpus
        self._class: Any = ray.remote(actor_class).options(num_cpus=num_cpus, num_gpus=num_gpus, max_restarts=0)
        self._arguments = arguments
        self._actors: list[Any] = []
        self._rising: dict[Any, int] = {}  # ref that is done when an actor stands -> its place
        self._stillborn = 0
        self.restarts = 0
        self.last_death = ""
        for place in range(size):
            self._start(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the actors, also those that are busy, and those that wait for a place."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._rising = [], {}

    def map(self, method: str, chunks: Iterable[object], *shared: object) -> Iterator[Any]:
        """Call ``actor.method(chunk, *shared)`` for each chunk; yield the results in the order of the chunks.

        A ref among ``shared`` arrives as its value. One map at a time.

        Raises:
            ChunkLost: a chunk's actor died ``DEATHS_OF_ONE_CHUNK`` times.
            UserError: no actor found a place within ``PLACEMENT_SECONDS``.
            Exception: what the method raised, with its traceback; it is not tried again.
        """
        work = _Work(self, method, chunks, shared)
        while not work.over:
            _turn([work])
            yield from work.given()

    def _start(self, place: int) -> None:
        actor = self._class.remote(*self._arguments)
        self._actors[place : place + 1] = [actor]
        self._rising[actor.__ray_ready__.remote()] = place

    def _replace(self, place: int, death: RayActorError) -> None:
        """Put a new actor in the place of one that died, or that cannot be reached and would keep its CPUs."""
        ray.kill(self._actors[place])
        if death.actor_init_failed:
            raise FirstlightError(f"the constructor of a pool's actor failed:\n{death}") from death
        self.restarts += 1
        self.last_death = str(death).splitlines()[0]
        self._start(place)

    def _stood_up(self, ref: Any, others: bool) -> int | None:
        """The place of an actor that stands now; None where it died before it did."""
        place = self._rising.pop(ref)
        try:
            ray.get(ref)
        except RayActorError as death:
            self._stillborn += 1
            if self._stillborn >= DEATHS_AT_START and not others:
                raise ChunkLost(f"{self.name} died {self._stillborn} times while it started:\n{death}") from death
            self._replace(place, death)
            return None
        self._stillborn = 0
        return place


def together(*maps: tuple[Pool, str, Iterable[object]]) -> list[list[Any]]:
    """Maps of different pools at the same time, all from this thread; the results of each. Raises as ``Pool.map``."""
    works = [_Work(pool, method, chunks, ()) for pool, method, chunks in maps]
    found: list[list[Any]] = [[] for _ in works]
    while open_works := [work for work in works if not work.over]:
        _turn(open_works)
        for work, results in zip(works, found, strict=True):
            results += work.given()
    return found


def _turn(works: list["_Work"]) -> None:
    """Hand out what can be handed out, then take what came next."""
    for work in works:
        work.hand_out()
    waits = {ref: work for work in works for ref in work.waits()}
    if waits:
        for ref in ray.wait(list(waits), num_returns=1, timeout=LOOK_SECONDS)[0]:
            waits[ref].take(ref)


class _Work:
    """One map: the chunks that wait, are at work, and are done while an earlier one is not."""

    def __init__(self, pool: Pool, method: str, chunks: Iterable[object], shared: tuple[object, ...]) -> None:
        self._pool, self._method, self._shared = pool, method, shared
        self._todo = enumerate(chunks)
        self._waiting: deque[tuple[int, object]] = deque()
        self._busy: dict[Any, tuple[int, int, object]] = {}  # ref -> (place of the actor, index of the chunk, chunk)
        self._done: dict[int, Any] = {}
        rising = set(pool._rising.values())
        self._idle = deque(place for place in range(len(pool._actors)) if place not in rising)
        self._deaths: dict[int, int] = {}
        self._next = 0
        self._heard = time.monotonic()
        self._fill()

    @property
    def over(self) -> bool:
        """Whether every chunk's result has been given."""
        return not (self._waiting or self._busy or self._done)

    def waits(self) -> list[Any]:
        """Refs whose end changes something: calls, and actors that rise."""
        return [*self._busy, *self._pool._rising]

    def hand_out(self) -> None:
        """Give chunks to idle actors. Raises UserError where none has stood for too long."""
        while self._idle and self._waiting:
            place, item = self._idle.popleft(), self._waiting.popleft()
            ref = getattr(self._pool._actors[place], self._method).remote(item[1], *self._shared)
            self._busy[ref] = (place, *item)
            self._fill()
        if not self._busy and time.monotonic() - self._heard > PLACEMENT_SECONDS:
            pool, free = self._pool, ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
            asked = f"it asks for {pool.num_cpus:g} CPUs, and {free:g} are free"
            rule = f"no actor {pool.name} could start within {PLACEMENT_SECONDS:g} s: {asked}"
            total = ray.cluster_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
            raise UserError("cluster.cpus", total, rule, "Raise it, add a host, or end what holds the others")

    def _fill(self) -> None:
        """Keep the next chunk at hand, unless too many finished ones wait for an earlier one."""
        ahead = len(self._busy) + len(self._done)
        if not self._waiting and ahead < (1 + CHUNKS_AHEAD) * len(self._pool._actors):
            self._waiting.extend(item for item in [next(self._todo, None)] if item is not None)

    def take(self, ref: Any) -> None:
        """Take what a ref brought: a result, an actor that stands, or a death."""
        self._heard = time.monotonic()
        if ref in self._pool._rising:
            risen = self._pool._stood_up(ref, others=bool(self._idle or self._busy))
            if risen is not None:
                self._idle.append(risen)
            return
        place, index, chunk = self._busy.pop(ref)
        try:
            self._done[index] = ray.get(ref)
        except RayActorError as death:
            times = self._deaths[index] = self._deaths.get(index, 0) + 1
            if times >= DEATHS_OF_ONE_CHUNK:
                why = f"chunk {index} was tried {times} times, and each time its process died:\n{death}"
                raise ChunkLost(why) from death
            self._pool._replace(place, death)
            self._waiting.appendleft((index, chunk))
            return
        self._idle.append(place)

    def given(self) -> Iterator[Any]:
        """The results that are next in order."""
        while self._next in self._done:
            yield self._done.pop(self._next)
            self._next += 1
        self._fill()
