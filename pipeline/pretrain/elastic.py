"""Elastic replicas that end with the same bits as one: membership, healing and the commit vote. Knows no Ray.

Replicas meet through one torchft lighthouse. Each step they agree on who is alive (quorum), newcomers take their state
from a live peer, each computes its range of the logical shards, and the fixed tree sums them. If a peer dies in the
middle, the survivors keep their state, vote no, and redo that step with the new membership: a fault costs one step.
"""

import json
import os
import socket
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from cluster.errors import StageFailed
from cluster.telemetry import Bar
from pipeline.pretrain.loop import Trainee, load_task
from pipeline.stage import StageContext, StageFolder

if TYPE_CHECKING:
    from torchft import Manager, ProcessGroupGloo

JOIN_TIMEOUT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 2000
COLLECTIVE_TIMEOUT = timedelta(seconds=20)
TRANSFER_TIMEOUT = timedelta(seconds=60)
QUORUM_TIMEOUT = timedelta(seconds=120)
STATUS_EVERY_S = 0.5
MOST_REDONE = 30  # of one step in a row: what fails so often is no fault of a peer

Launch = Callable[[str, list[dict[str, Any]], str, Callable[[], None]], object]
"""(target, one config a replica, name, poll) -> None: how a stage's job starts replicas and waits for them."""


class GlooExchange:
    """The exact step's exchange over torchft's process group of this quorum."""

    def __init__(self, group: "ProcessGroupGloo", members: int, rank: int) -> None:
        self.group, self.members, self.rank = group, members, rank

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        from torch.distributed.distributed_c10d import AllToAllOptions

        received = torch.empty(sum(out_sizes), dtype=send.dtype)
        self.group.alltoall_base(received, send, out_sizes, in_sizes, AllToAllOptions()).wait()
        return received

    def all_gather(self, part: Tensor) -> list[Tensor]:
        from torch._C._distributed_c10d import AllgatherOptions

        parts = [torch.empty_like(part) for _ in range(self.members)]
        self.group.allgather([parts], [part], AllgatherOptions()).wait()
        return parts


def replica(config: dict[str, Any]) -> None:
    """The life of one replica: join, step until the task ends, write the result. Runs in a worker of its own."""
    folder = StageFolder.open(config["run"], config["stage"], config["fingerprint"])
    if folder.done("model/manifest.json"):
        return  # came back after the others had finished
    torch.set_num_threads(config["threads"])
    trainee = Trainee.new(load_task(config["task"], config["run"], config["kwargs"]))
    status = _Status(folder, config["replica"])
    for reason in trainee.resume(folder):
        status.refused.append(reason)
    manager, group = _join(trainee, config)
    try:
        while trainee.step < trainee.task.steps:
            members = status.members
            _step(trainee, manager, group, status)
            if status.members < members and folder.done("model/manifest.json"):
                return  # fell behind while the others finished
            first = manager.participating_rank() == 0
            if first and trainee.step % config["checkpoint_every"] == 0 and trainee.step < trainee.task.steps:
                trainee.save(folder)
        if manager.participating_rank() in (0, None) or not folder.done("model/manifest.json"):
            trainee.write_model(folder)
        status.write(trainee, status.members, force=True)
    finally:
        manager.shutdown(wait=False)


def _join(trainee: Trainee, config: dict[str, Any]) -> tuple["Manager", "ProcessGroupGloo"]:
    """A torchft manager for this replica, at the step that it resumed from."""
    from torch._C._distributed_c10d import TCPStore
    from torchft import Manager, ProcessGroupGloo
    from torchft.checkpointing.http_transport import HTTPTransport

    def load(state: dict[str, Any]) -> None:
        trainee.restore(state["tensors"], state["step"], state["history"])

    def give() -> dict[str, Any]:
        return {"tensors": trainee.state(), "step": trainee.step, "history": list(trainee.history)}

    address = _own_address(config["lighthouse"])
    store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
    group = ProcessGroupGloo(timeout=COLLECTIVE_TIMEOUT)
    manager = Manager(
        pg=group,
        load_state_dict=load,
        state_dict=give,
        min_replica_size=1,
        use_async_quorum=False,
        init_sync=False,
        rank=0,
        world_size=1,
        store_addr=address,
        store_port=store.port,
        hostname=address,
        lighthouse_addr=config["lighthouse"],
        replica_id=f"{config['stage']}-{config['replica']}_",
        checkpoint_transport=HTTPTransport(timeout=TRANSFER_TIMEOUT, num_chunks=0),
        timeout=TRANSFER_TIMEOUT,
        max_retries=MOST_REDONE,
        quorum_timeout=QUORUM_TIMEOUT,
    )
    manager.load_state_dict({"step": trainee.step, "batches_committed": trainee.step})
    manager.store = store  # lives as long as the manager
    return manager, group


def _step(trainee: Trainee, manager: "Manager", group: "ProcessGroupGloo", status: "_Status") -> None:
    """One attempt at the next step. A failed attempt changes no state."""
    try:
        manager.start_quorum()
    except (RuntimeError, TimeoutError):  # torchft keeps the failure for ever: a new process joins anew
        traceback.print_exc()
        os._exit(1)
    total = None
    if not manager.errored():
        rank = manager.participating_rank()
        assert rank is not None and trainee.step == manager.current_step()
        try:
            total = trainee.gradient(GlooExchange(group, manager.num_participants(), rank))
        except RuntimeError as error:
            if manager.num_participants() == 1:
                raise  # alone, no peer can have died: this is a mistake, not a fault
            manager.report_error(error)
    if manager.should_commit() and total is not None:
        trainee.apply(total)
    else:
        status.redone += 1
    status.write(trainee, manager.num_participants())


def _own_address(lighthouse: str) -> str:
    """This host's address as the lighthouse's host sees it."""
    url = urlparse(lighthouse)
    with socket.create_connection((url.hostname or "127.0.0.1", url.port or 80), timeout=30) as probe:
        found: str = probe.getsockname()[0]
    return found.removeprefix("::ffff:")


class _Status:
    """What a replica tells its driver twice a second, outside the result: step, members, redone steps."""

    def __init__(self, folder: StageFolder, index: int) -> None:
        self._folder, self._index, self._last = folder, index, 0.0
        self.redone, self.members, self.refused = 0, 0, list[str]()

    def write(self, trainee: Trainee, members: int, force: bool = False) -> None:
        now, self.members = time.monotonic(), members
        if not force and now - self._last < STATUS_EVERY_S:
            return
        self._last = now
        said: dict[str, Any] = {"step": trainee.step, "members": members, "redone": self.redone, "pid": os.getpid()}
        said |= {"loss": trainee.history[-1]["loss"] if trainee.history else None, "refused": self.refused}
        said |= {"tokens": trainee.task.tokens(trainee.step)}
        self._folder.storage.put(self._folder.key(f"timing/replica-{self._index}.json"), json.dumps(said).encode())


class _Watch:
    """Reads what the replicas say; moves the bar, and keeps deaths, returns and redone steps as events."""

    def __init__(self, ctx: StageContext, bar: Bar, replicas: int) -> None:
        self._ctx, self._bar, self._replicas = ctx, bar, replicas
        self._tokens, self._seen = 0, dict[int, dict[str, Any]]()

    def __call__(self) -> None:
        storage = self._ctx.folder.storage
        for index in range(self._replicas):
            try:
                said = json.loads(storage.get(self._ctx.folder.key(f"timing/replica-{index}.json")))
            except FileNotFoundError:
                continue
            before = self._seen.get(index)
            self._seen[index] = said
            self._compare(index, before, said)
        best = max(self._seen.values(), key=lambda s: int(s["tokens"]), default=None)
        if best and best["tokens"] > self._tokens:
            self._bar.advance(best["tokens"] - self._tokens, loss=best["loss"], replicas=best["members"])
            self._tokens = best["tokens"]

    def _compare(self, index: int, before: dict[str, Any] | None, said: dict[str, Any]) -> None:
        facts = {"replica": index, "step": said["step"]}
        if before is None or said["pid"] != before["pid"]:
            for reason in said["refused"]:
                self._ctx.event("fault", what="checkpoint refused", reason=reason, **facts)
        if before is None:
            self._ctx.event("replica_joined", pid=said["pid"], **facts)
        elif said["pid"] != before["pid"]:
            self._ctx.event("fault", what="replica died and returned", pid=said["pid"], **facts)
        elif said["redone"] > before["redone"]:
            self._ctx.event("fault", what="step redone", times=said["redone"] - before["redone"], **facts)
        if before and said["members"] and before["members"] and said["members"] != before["members"]:
            self._ctx.event("members_changed", before=before["members"], now=said["members"], **facts)


def train(
    ctx: StageContext,
    task: str,
    kwargs: dict[str, Any],
    *,
    replicas: int,
    threads: int,
    checkpoint_every: int,
    launch: Launch,
    label: str,
) -> None:
    """Train a task on replicas and leave ``model/`` and ``metrics/steps.jsonl`` in the stage's folder.

    ``kwargs`` must be JSON-able: each worker calls ``task(run, **kwargs)`` by name. Nothing is done where the model
    stands already.
    """
    from torchft.coordination import LighthouseServer

    if ctx.folder.done("model/manifest.json"):
        return
    storage = ctx.folder.storage
    storage.delete_folder(ctx.folder.key("timing"))
    lighthouse = LighthouseServer(
        bind="[::]:0",
        min_replicas=1,
        join_timeout_ms=JOIN_TIMEOUT_MS,
        heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
    )
    common = {
        "run": ctx.run,
        "stage": ctx.name,
        "fingerprint": ctx.folder.fingerprint,
        "task": task,
        "kwargs": kwargs,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
        "lighthouse": lighthouse.address(),
    }
    made = load_task(task, ctx.run, kwargs)
    total = made.tokens(made.steps)
    try:
        with ctx.progress(label, total, "tokens") as bar:
            watch = _Watch(ctx, bar, replicas)
            configs = [{**common, "replica": i} for i in range(replicas)]
            launch("pipeline.pretrain.elastic:replica", configs, label, watch)
            watch()
    finally:
        lighthouse.shutdown()
    if not ctx.folder.done("model/manifest.json"):
        raise StageFailed(ctx.name, "its replicas ended without a model; the logs are in the run's logs/ folder")
