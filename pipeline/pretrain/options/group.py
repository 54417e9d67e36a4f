"""A replica of several workers: they share one model by a layout, and live and die together. Knows no Ray.

Worker 0 opens a store and says in the driver's where it is; the others come, and their process group is the replica.
Each worker has its peers in the other replicas: the same seat. Through torchft they agree on who is alive; a replica's
workers vote as one. Within a replica a lost worker ends all of it: the others see their connection break, end
themselves, and are started anew; the new replica takes its parts from those of a live one, worker from worker.
"""

import os
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from models import checkpoint
from models.layout_config import Layout
from models.parts import part
from models.shards import ranges
from models.step import Exchange
from pipeline.pretrain import elastic
from pipeline.pretrain.checkpoints import Checkpoints, newest
from pipeline.pretrain.loop import Task, Trainee, load_task
from pipeline.pretrain.watch import Status
from pipeline.stage import StageFolder

if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore
    from torchft import Manager, ProcessGroupGloo

Result = TypeVar("Result")

MEET = timedelta(seconds=60)
INSIDE = timedelta(seconds=120)  # a collective inside a replica waits for the slowest worker's pass
MET = "met"
MISTAKE = "timing/mistake.txt"
LOST = ("gloo/", "NCCL", "Connection", "Timed out", "timed out")  # how a broken process group says so


class GroupTrainee(Trainee):
    """One worker's part of a `Trainee`: its state is this worker's parts, its steps are collectives of the replica."""

    def __init__(self, task: Task, place: Any) -> None:
        self.place = place
        super().__init__(task)

    def _become(self, task: Task) -> None:
        of: Any = task  # a language task
        check_rows(self.place.layout, of)
        how = of.how
        objective = part("parallel", "objective").Objective(
            how.label_smoothing, how.z_weight, how.vocab_chunk, how.precision
        )
        self.task = task
        self.replica = part("parallel", "run").build(of.model_config, self.place, of.seed, objective, how.recompute)
        self.model = self.replica
        if how.start.kind != "none":
            drawn = {f"model.{name}": tensor for name, tensor in task.build().state_dict().items()}
            state = part("parallel", "state")
            state.take(self.replica, None, state.cut(self.replica, drawn))
        self.optimizer = self.replica.make_optimizer(task.optim)
        self.exact = part("parallel", "step").LayoutStep(
            self.replica, self.optimizer, of.pair, task.shards, task.optim.clip_norm
        )

    def gradient(self, exchange: Exchange) -> Tensor:
        """As in `Trainee`. An exchange that fails is no reason to leave the replica's other workers alone in a
        collective: it goes on with zeros, and the failure is raised at the end. A failure inside ends this process."""
        outside = Patient(exchange)
        try:
            total = super().gradient(outside)
        except RuntimeError as error:
            end_if_lost(error)
            raise
        if outside.failure is not None:
            raise outside.failure
        return total

    def whole(self) -> dict[str, Tensor]:
        """The state of all workers, on worker 0. A collective."""
        found: dict[str, Tensor] = part("parallel", "state").gather(self.replica, self.state())
        return found

    def restore_whole(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take this worker's parts of a checkpoint, of whatever layout it is."""
        self.restore(part("parallel", "state").cut(self.replica, tensors), facts)

    def _own_state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = part("parallel", "state").own(self.replica, self.optimizer)
        return found

    def _load(self, tensors: dict[str, Tensor]) -> None:
        part("parallel", "state").take(self.replica, self.optimizer, tensors)


class Patient:
    """An exchange with the other replicas that keeps its first failure, and from then on gives zeros."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.members, self.rank = exchange.members, exchange.rank
        self.failure: RuntimeError | None = None

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        """As the exchange has it."""
        return self._try(
            lambda: self._exchange.all_to_all(send, out_sizes, in_sizes), lambda: send.new_zeros(sum(out_sizes))
        )

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """As the exchange has it."""
        return self._try(lambda: self._exchange.all_gather(x), lambda: [torch.zeros_like(x)] * self.members)

    def _try(self, work: Callable[[], Result], instead: Callable[[], Result]) -> Result:
        if self.failure is None:
            try:
                return work()
            except RuntimeError as error:
                self.failure = error
        return instead()


def replica(config: dict[str, Any]) -> None:
    """The life of one worker of a replica: `elastic.replica` by several. Runs in a process of its own.

    Beside that config: ``layout``, ``worker`` (its rank in the replica) and ``meeting``, the driver's store. A mistake
    is left in the stage's folder for the driver: the other workers end when this one does, and would hide it.
    """
    folder = StageFolder.open(config["run"], config["stage"], config["fingerprint"])
    if folder.done("model/manifest.json"):
        return
    try:
        _live(config, folder)
    except Exception as error:
        end_if_lost(error)
        folder.storage.put(folder.key(MISTAKE), traceback.format_exc().encode())
        raise


def _live(config: dict[str, Any], folder: StageFolder) -> None:
    """From meeting the others to the stage's result."""
    torch.set_num_threads(config["threads"])
    layout, worker = Layout.model_validate(config["layout"]), config["worker"]
    store = _meet(config, layout)
    place = part("parallel", "mesh").make_place(layout)
    trainee = GroupTrainee(load_task(config["task"], config["run"], config["kwargs"]), place)
    status = Status(folder, config["replica"])
    found, status.refused = newest(folder)
    if found:
        trainee.restore_whole(*found)
    manager, group = elastic.join(trainee, config, store, worker, layout.workers)
    checkpoints = Checkpoints(folder, config["keep"], config["keep_every"])
    try:
        while not trainee.done:
            members, before = status.members, trainee.step
            trainee.look(folder)
            _step(trainee, manager, group, status)
            if status.members < members and _agreed(trainee, folder.done("model/manifest.json")):
                return  # fell behind while the others finished
            due = trainee.step % config["checkpoint_every"] == 0 and not trainee.done and trainee.step > before
            if due and manager.participating_rank() == 0:
                whole = trainee.whole()
                if worker == 0:
                    checkpoints.save(trainee.step, whole, trainee.facts())
            if worker == 0:
                elastic.tell(trainee, status)
        checkpoints.join()
        if manager.participating_rank() in (0, None) or not _agreed(trainee, folder.done("model/manifest.json")):
            _write_model(trainee, folder)
        if worker == 0:
            elastic.tell(trainee, status, force=True)
        dist.barrier()  # worker 0 holds the store
    finally:
        manager.shutdown(wait=False)


def _step(trainee: GroupTrainee, manager: "Manager", group: "ProcessGroupGloo", status: Status) -> None:
    """One attempt at the next step, by all workers alike. A failed attempt changes no state."""
    try:
        manager.start_quorum()
    except (RuntimeError, TimeoutError):  # as in elastic
        traceback.print_exc()
        os._exit(1)
    total = None
    if not _any(trainee, manager.errored() is not None):
        rank = manager.participating_rank()
        assert rank is not None and trainee.step == manager.current_step()
        try:
            total = trainee.gradient(elastic.GlooExchange(group, manager.num_participants(), rank))
        except RuntimeError as error:
            if manager.num_participants() == 1:
                raise
            manager.report_error(error)
    if manager.should_commit() and total is not None:
        trainee.apply(total)
    else:
        status.redone += 1
    status.members = manager.num_participants()


def _write_model(trainee: GroupTrainee, folder: StageFolder) -> None:
    whole = trainee.whole()
    if dist.get_rank() == 0:
        folder.write_jsonl("metrics/steps.jsonl", trainee.history)
        weights = {key.removeprefix("model."): t for key, t in whole.items() if key.startswith("model.")}
        checkpoint.save(folder.write_bytes, "model", weights, trainee.task.facts())


def _meet(config: dict[str, Any], layout: Layout) -> "TCPStore":
    """The store of this life of the replica, with its process group up. What does not come together ends itself."""
    from torch._C._distributed_c10d import PrefixStore, TCPStore

    host, port = config["meeting"].rsplit(":", 1)
    driver = TCPStore(host, int(port), is_master=False)
    key, worker = f"replica/{config['replica']}", config["worker"]
    if worker == 0:
        address = elastic.own_address(config["lighthouse"])
        store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
        driver.set(key, f"{address}:{store.port}")
    else:
        store = _found(driver, key)
    try:
        backend = part("parallel", "mesh").backend()
        inside = PrefixStore("inside", store)
        dist.init_process_group(backend, store=inside, rank=worker, world_size=layout.workers, timeout=INSIDE)
    except RuntimeError:
        traceback.print_exc()
        os._exit(1)
    if worker == 0:
        store.set(MET, "yes")
    return store


def _found(driver: "TCPStore", key: str) -> "TCPStore":
    """Worker 0's store. What the driver's says may be of a life that is over, or just ending: that one is passed by."""
    from torch._C._distributed_c10d import TCPStore

    end = time.monotonic() + MEET.total_seconds()
    while time.monotonic() < end:
        host, port = driver.get(key).decode().rsplit(":", 1)
        try:
            store = TCPStore(host, int(port), is_master=False, timeout=timedelta(seconds=2))
            if not store.check([MET]):
                store.set_timeout(MEET)
                return store
        except RuntimeError:
            pass
        time.sleep(0.2)
    os._exit(1)


def _any(trainee: GroupTrainee, flag: bool) -> bool:
    """Whether any worker of the replica says so. A collective."""
    said = torch.tensor([float(flag)], device=trainee.place.device)
    dist.all_reduce(said)
    return bool(said)


def _agreed(trainee: GroupTrainee, flag: bool) -> bool:
    """What worker 0 says. A collective."""
    said = torch.tensor([float(flag)], device=trainee.place.device)
    dist.broadcast(said, 0)
    return bool(said)


def end_if_lost(error: BaseException) -> None:
    """End this process where another worker of its replica is gone: to be started again is no mistake."""
    if isinstance(error, RuntimeError) and any(word in str(error) for word in LOST):
        traceback.print_exc()
        os._exit(1)


def check_rows(layout: Layout, task: Any) -> None:
    """Raise LayoutError where a batch of the plan, the model or the optimiser cannot be laid out."""
    for size in {size for _, size in task.plan.batch.stages}:
        for lo, hi in set(ranges(size, task.shards)):
            layout.check(task.model_config, hi - lo, task.optim.kind)
