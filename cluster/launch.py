"""Replicas: the same function, run once a config in a process of its own, each restarted alone when it dies.

A replica that is killed is started again without limit, and its peers are not touched. An exception of the function is
a mistake that a restart would repeat: it ends all replicas. Knows neither torch nor a stage.
"""

import copy
import importlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from cluster import train_host
from cluster.errors import FirstlightError, StageFailed

POLL_SECONDS = 0.5
SHORT_LIFE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """How one call ended: with a value, or with an exception, given as text and, where it travels, as itself."""

    value: Any = None
    failure: str = ""
    error: FirstlightError | None = None


@dataclass(frozen=True)
class Placement:
    """Where and how the replicas of one launch run."""

    target: str
    name: str
    storage: str
    num_cpus: float
    health_seconds: float
    workers: int = 1


def resolve(target: str) -> Callable[..., Any]:
    """The function that ``"module:function"`` names."""
    module, _, function = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def call(target: str, config: dict[str, Any]) -> Outcome:
    """Call the target and keep its exception as data, so that it is told from the death of the process."""
    try:
        return Outcome(value=resolve(target)(config))
    except BaseException as error:
        return Outcome(failure=traceback.format_exc(), error=_travelling(error))


def _travelling(error: BaseException) -> FirstlightError | None:
    """The exception itself where it is one of ours and can be rebuilt elsewhere, as a copy is rebuilt."""
    try:
        return copy.copy(error) if isinstance(error, FirstlightError) else None
    except TypeError:
        return None


class PlainReplica:
    """Host "actor": the call runs in this actor's own process."""

    def run(self, place: Placement, index: int, config: dict[str, Any], life: int) -> Outcome:
        """Run the target to its end."""
        return call(place.target, config)


class TrainReplica:
    """Host "train": the call runs in the one worker of a Ray Train run, which restarts it when it dies.

    The actor exists because ``fit()`` sets a signal handler and blocks; it takes no CPU.
    """

    def run(self, place: Placement, index: int, config: dict[str, Any], life: int) -> Outcome:
        """Run the target to its end, through any number of deaths of the worker."""
        name, key = f"{place.name}-{index}", train_host.reservation_key(place.name, index, life)
        run = train_host.TrainRun(name, place.storage, place.num_cpus, place.health_seconds, key, place.workers)
        outcome = train_host.fit(run, _train_worker, {"target": place.target, "config": config})
        assert isinstance(outcome, Outcome), "the worker returns an outcome, whatever its target does"
        return outcome


def _train_worker(loop_config: dict[str, Any]) -> Outcome:
    return call(loop_config["target"], {**loop_config["config"], "worker": train_host.rank()})


def run_replicas(
    target: str,
    configs: list[dict[str, Any]],
    *,
    host: Literal["train", "actor"],
    num_cpus: float,
    name: str,
    storage: str,
    poll: Callable[[], None] | None = None,
    on_restart: Callable[[int, str], None] | None = None,
    health_seconds: float = 0.5,
    workers: int = 1,
) -> list[Any]:
    """Run ``target(config)`` once a config, all at the same time, and return their results in the order of configs.

    Args:
        target: ``"module:function"``, importable on every worker.
        configs: one dict a replica; their number is the number of replicas.
        host: "train": each replica is a Ray Train run of its own (10 to 15 s to the first line). "actor": the same
            contract on plain actors (2 to 4 s).
        num_cpus: logical CPUs of each replica.
        name: of the launch, in Ray's own lists and in its scratch below ``storage``.
        storage: an absolute folder or URI for Ray Train's scratch. Nothing of ours is kept there.
        poll: called about twice a second; what it raises ends the replicas and is raised here.
        on_restart: told (replica, why) of each restart by us. Ray Train's own restarts of a worker do not pass here.
        health_seconds: time between two looks of Ray Train at its worker.
        workers: processes of a replica, each with its rank as ``worker`` in its config. Host "train" starts all of a
            replica anew when one dies; on host "actor" each is started anew when it dies, so the others must end too.

    Raises:
        FirstlightError: the target raised it, or StageFailed with the traceback of any other exception.
    """
    apart = workers if host == "actor" else 1
    if apart > 1:
        configs = [{**config, "worker": worker} for config in configs for worker in range(workers)]
    place = Placement(target, name, storage, num_cpus, health_seconds, workers)
    launch = _Launch(place, host, configs, on_restart)
    try:
        while launch.pending():
            launch.look(timeout=POLL_SECONDS)
            if poll is not None:
                poll()
    finally:
        launch.kill()
    return launch.results()[::apart]


def actor_host(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
    """Replicas on plain actors, one CPU each: what a stage gives to ``elastic.train`` where start-up time counts."""
    run_replicas(target, configs, host="actor", num_cpus=1, name=name, storage="", poll=poll)


class _Launch:
    """The state of one launch: the actor and the open call of each replica that has not finished."""

    def __init__(
        self,
        place: Placement,
        host: Literal["train", "actor"],
        configs: list[dict[str, Any]],
        on_restart: Callable[[int, str], None] | None,
    ) -> None:
        self._place, self._host, self._configs, self._on_restart = place, host, configs, on_restart
        kind, cpus = (TrainReplica, 0.0) if host == "train" else (PlainReplica, place.num_cpus)
        self._class: Any = ray.remote(kind).options(num_cpus=cpus, max_restarts=0)
        self._actors: dict[int, ActorHandle[Any]] = {}
        self._calls: dict[Any, int] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._born: dict[int, float] = {}
        self._life = dict.fromkeys(range(len(configs)), 0)
        self._held: list[str] = []  # reservations of the dead
        self._pause = dict.fromkeys(range(len(configs)), 0.0)
        self._due: dict[int, float] = {}
        for index in range(len(configs)):
            self._start(index)

    def _start(self, index: int) -> None:
        self._due.pop(index, None)
        self._born[index] = time.monotonic()
        self._actors[index] = self._class.remote()
        run: Any = self._actors[index].run
        self._calls[run.remote(self._place, index, self._configs[index], self._life[index])] = index

    def pending(self) -> bool:
        """Whether a replica has not finished."""
        return len(self._outcomes) < len(self._configs)

    def look(self, timeout: float) -> None:
        """Wait a little; take the outcomes that came, and restart the dead. Raises what a target raised."""
        for key in self._held:  # a controller may reserve once more before it has noticed that its owner is dead
            train_host.free(key)
        for index in [i for i, due in self._due.items() if due <= time.monotonic()]:
            self._start(index)
        if not self._calls:
            time.sleep(timeout)
            return
        ended, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=timeout)
        for ref in ended:
            index = self._calls.pop(ref)
            try:
                outcome: Outcome = ray.get(ref)
            except RayActorError as death:
                self._died(index, str(death))
                continue
            if outcome.error is not None:
                raise outcome.error
            if outcome.failure:
                raise StageFailed(self._place.name, f"replica {index}:\n{outcome.failure}")
            self._outcomes[index] = outcome

    def _died(self, index: int, why: str) -> None:
        """Plan the restart: at once after a long life, with growing pauses where a replica dies as soon as it lives."""
        self._end(index)
        short = time.monotonic() - self._born[index] < SHORT_LIFE_SECONDS
        self._due[index] = time.monotonic() + (self._pause[index] if short else 0.0)
        self._pause[index] = min(2 * self._pause[index] + 1.0, LONGEST_PAUSE_SECONDS) if short else 0.0
        if self._on_restart is not None:
            self._on_restart(index, why.splitlines()[0])

    def kill(self) -> None:
        """End what still runs."""
        for index in self._actors:
            self._end(index)

    def _end(self, index: int) -> None:
        """End a replica: the controller and the worker of a Ray Train run die with the actor that owns them.

        In a restart this is for what a death has left: an actor whose controller died, a reservation of CPUs.
        """
        ray.kill(self._actors[index])
        if self._host == "train":
            self._held.append(train_host.reservation_key(self._place.name, index, self._life[index]))
            train_host.free(self._held[-1])
            self._life[index] += 1

    def results(self) -> list[Any]:
        """The values, in the order of the configs."""
        return [self._outcomes[index].value for index in range(len(self._configs))]
