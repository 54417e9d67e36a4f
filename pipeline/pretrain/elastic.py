"""Elastic replicas that end with the same bits as one: membership, healing and the commit vote. Knows no Ray.

Replicas meet through one torchft lighthouse. Each step they agree on who is alive (quorum), newcomers take their state
from a live peer, each computes its range of the logical shards, and the fixed tree sums them. If a peer dies in the
middle, the survivors keep their state, vote no, and redo that step with the new membership: a fault costs one step.
"""

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from torch import Tensor
from torch._C._distributed_c10d import TCPStore

from cluster.errors import StageFailed
from cluster.telemetry import read_events
from models.config import GPTConfig
from models.layout_config import Layout
from models.parts import part
from pipeline.pretrain.checkpoints import Checkpoints, newest
from pipeline.pretrain.loop import Trainee, load_task
from pipeline.pretrain.pace import Pace
from pipeline.pretrain.steplog import StepLog
from pipeline.pretrain.watch import Status, Watch, start_trackers
from pipeline.stage import StageContext, StageFolder

if TYPE_CHECKING:
    from torchft import Manager, ProcessGroupGloo

JOIN_TIMEOUT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 2000
COLLECTIVE_TIMEOUT = timedelta(seconds=20)
TRANSFER_TIMEOUT = timedelta(seconds=60)
QUORUM_TIMEOUT = timedelta(seconds=120)
MISTAKE = "mistake"  # where a worker of a group leaves its own in the driver's store
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
    status = Status(folder, config["replica"])
    found, status.refused = newest(folder)
    if found:
        trainee.restore(*found)
    checkpoints = Checkpoints(folder, config["keep"], config["keep_every"])
    pace = Pace(StepLog(folder, config["replica"]), getattr(trainee.task, "precision", "fp32"))
    manager, group = join(trainee, config)
    try:
        while not trainee.done:
            members, before = status.members, trainee.step
            trainee.look(folder)
            _step(trainee, manager, group, status)
            if status.members < members and folder.done("model/manifest.json"):
                return  # fell behind while the others finished
            first = manager.participating_rank() == 0
            if trainee.step == before:
                continue
            if first and trainee.step % config["checkpoint_every"] == 0 and not trainee.done:
                checkpoints.save(trainee.step, trainee.state(), trainee.facts())
            mark(pace, trainee, status.members, first, checkpoints.stalled)
        checkpoints.join()
        if manager.participating_rank() in (0, None) or not folder.done("model/manifest.json"):
            trainee.write_model(folder)
        tell(trainee, status, force=True)
    finally:
        manager.shutdown(wait=False)
        pace.write()


def mark(pace: Pace, trainee: Trainee, members: int, first: bool, stalled: float) -> None:
    """One more line of metrics. A task may count its FLOPs (`flops`) and what it waited for data (`waited`)."""
    task, line = trainee.task, trainee.history[-1]
    position = line.get("position", line["step"])
    tokens = task.tokens(position + 1) - task.tokens(position)
    clocks = {"loader_wait": getattr(task, "waited", 0.0), "checkpoint_stall": stalled}
    flops = task.flops(position) if hasattr(task, "flops") else 0.0
    shape: GPTConfig | None = getattr(task, "model_config", None)
    routed = part("mlps", "experts").routing(trainee.bodies) if shape and shape.experts.count else {}
    pace.mark({**line, **routed, "step_tokens": tokens}, members, first, flops, clocks)


def tell(trainee: Trainee, status: Status, force: bool = False) -> None:
    status.write(trainee.step, trainee.history[-1] if trainee.history else {}, trainee.course.events, force)


def join(
    trainee: Trainee, config: dict[str, Any], store: TCPStore | None = None, worker: int = 0, workers: int = 1
) -> tuple["Manager", "ProcessGroupGloo"]:
    """A torchft manager for this worker of a replica, at the step that it resumed from. Worker 0 serves the replica."""
    from torchft import Manager, ProcessGroupGloo
    from torchft.checkpointing.http_transport import HTTPTransport

    def load(state: dict[str, Any]) -> None:
        trainee.restore(state["tensors"], state["facts"])

    def give() -> dict[str, Any]:
        return {"tensors": trainee.state(), "facts": trainee.facts()}

    address = own_address(config["lighthouse"])
    store = store or TCPStore(address, 0, is_master=True, wait_for_workers=False)
    group = ProcessGroupGloo(timeout=COLLECTIVE_TIMEOUT)
    manager = Manager(
        pg=group,
        load_state_dict=load,
        state_dict=give,
        min_replica_size=1,
        use_async_quorum=False,
        init_sync=False,
        rank=worker,
        world_size=workers,
        store_addr=store.host,
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


def _step(trainee: Trainee, manager: "Manager", group: "ProcessGroupGloo", status: Status) -> None:
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
    status.members = manager.num_participants()
    tell(trainee, status)


def own_address(lighthouse: str) -> str:
    """This host's address as the lighthouse's host sees it."""
    url = urlparse(lighthouse)
    with socket.create_connection((url.hostname or "127.0.0.1", url.port or 80), timeout=30) as probe:
        found: str = probe.getsockname()[0]
    return found.removeprefix("::ffff:")


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
    keep: int = 2,
    keep_every: int = 0,
    trackers: Sequence[str] = (),
    layout: Layout = Layout(),  # noqa: B008
) -> None:
    """Train a task on replicas and leave ``model/`` and ``metrics/steps.jsonl`` in the stage's folder.

    ``kwargs`` must be JSON-able: each worker calls ``task(run, **kwargs)`` by name. Nothing is done where the model
    stands already. ``keep`` and ``keep_every`` are the rule by which checkpoints stay; metrics go to ``trackers`` too.
    A replica of several workers is laid out by ``layout``, and lives in group.py.
    """
    from torchft.coordination import LighthouseServer

    if ctx.folder.done("model/manifest.json"):
        return
    resumed = bool(ctx.folder.pieces("checkpoints/"))
    _clear_timing(ctx.folder, resumed)
    outside = start_trackers(trackers, ctx.folder, {"task": task, **kwargs})
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
        "keep": keep,
        "keep_every": keep_every,
        "lighthouse": lighthouse.address(),
        "layout": layout.model_dump(),
    }
    target = "pipeline.pretrain.elastic:replica"
    store: TCPStore | None = None
    if layout.workers > 1:
        target = "pipeline.pretrain.options.group:replica"
        store = TCPStore("0.0.0.0", 0, is_master=True, wait_for_workers=False)
        common["meeting"] = f"{own_address(lighthouse.address())}:{store.port}"
    made = load_task(task, ctx.run, kwargs)
    total = made.tokens(made.steps)
    try:
        with ctx.progress(label, total, "tokens") as bar:
            watch = Watch(ctx, bar, replicas, outside, _told(ctx) if resumed else -1)

            def poll() -> None:
                watch()
                if store is not None and store.check([MISTAKE]):
                    raise StageFailed(ctx.name, store.get(MISTAKE).decode())

            configs = [{**common, "replica": i} for i in range(replicas)]
            try:
                launch(target, configs, label, poll)
            finally:
                watch.close()
    finally:
        lighthouse.shutdown()
    if not ctx.folder.done("model/manifest.json"):
        raise StageFailed(ctx.name, "its replicas ended without a model; the logs are in the run's logs/ folder")


def _clear_timing(folder: StageFolder, resumed: bool) -> None:
    """Take away what replicas of another driver said; of a run that goes on, its metrics stay."""
    for key in list(folder.storage.list(folder.key("timing"))):
        if not resumed or "/timing/steps" not in key:
            folder.storage.delete(key)


def _told(ctx: StageContext) -> int:
    """The step of the newest thing that the run did to itself and that an earlier driver told."""
    told = (e for e in read_events(ctx.folder.storage) if e.get("stage") == ctx.name and e["kind"] in ("guard", "swap"))
    return max((int(event["step"]) for event in told), default=-1)
