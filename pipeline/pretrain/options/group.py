"""A replica of several workers: they share one model by a layout, and live and die together. Knows no Ray.

Worker 0 opens a store and says in the driver's where it is; the others come, and their process group is the replica.
Each worker has its peers in the other replicas: the same seat. Through torchft they agree on who is alive; a replica's
workers vote as one. Within a replica a lost worker ends all of it: the others see their connection break, end
themselves, and are started anew; the new replica takes its parts from those of a live one, worker from worker.
"""

import json
import os
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from models import checkpoint
from models.layout_config import Layout
from models.parts import part
from models.shards import ranges
from models.step import Exchange, StepFacts
from pipeline.pretrain import elastic
from pipeline.pretrain.checkpoints import State, manifests, read
from pipeline.pretrain.loop import Task, Trainee, load_task
from pipeline.pretrain.options.parts import PartCheckpoints
from pipeline.pretrain.pace import Pace, peak_bytes
from pipeline.pretrain.steplog import WORKERS, StepLog
from pipeline.pretrain.watch import Status
from pipeline.stage import StageFolder

if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore
    from torchft import Manager, ProcessGroupGloo

Result = TypeVar("Result")

MEET = timedelta(seconds=60)
INSIDE = timedelta(seconds=120)  # a collective inside a replica waits for the slowest worker's pass
MET = "met"
LOST = ("gloo/", "NCCL", "Connection", "Timed out", "timed out")  # how a broken process group says so


class GroupTrainee(Trainee):
    """One worker's part of a `Trainee`: its state is this worker's parts, its steps are collectives of the replica."""

    def __init__(self, task: Task, place: Any) -> None:
        self.place = place
        self.measured: dict[str, Any] = {"tokens": 0}
        self._measuring: tuple[Any, dict[str, Any]] | None = None
        self._warm = False
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

    @property
    def bodies(self) -> list[nn.Module]:
        """The stages of this worker; none where others have blocks of their own, as it would speak for all."""
        return [stage.model for stage in self.replica.stages] if self.place.layout.pipeline == 1 else []

    def gradient(self, exchange: Exchange) -> Tensor:
        """As in `Trainee`. An exchange that fails is no reason to leave the replica's other workers alone in a
        collective: it goes on with zeros, and the failure is raised at the end. A failure inside ends this process."""
        self._measuring = None
        sent, tokens = self._counted()
        outside = Patient(exchange, sent)
        try:
            with sent or nullcontext():
                total = super().gradient(outside)
        except RuntimeError as error:
            end_if_lost(error)
            raise
        if outside.failure is not None:
            raise outside.failure
        if sent is not None:
            self._measuring = sent, {"tokens": tokens, "members": exchange.members}
        self._warm = True
        return total

    def apply(self, total: Tensor) -> StepFacts:
        """As in `Trainee`. What Muon sends so that a matrix is turned whole is counted too."""
        measuring, self._measuring = self._measuring, None
        if measuring is None:
            return super().apply(total)
        sent, about = measuring
        with sent:
            facts = super().apply(total)
        if facts.applied:
            self.measured = {**about, "sent": sent.bytes}
        return facts

    def _counted(self) -> tuple[Any, int]:
        """(what counts the bytes that this step sends, its tokens): from the second step of this process on, once of
        each size of batch that is larger than those before. A step with a probe sends more than a plan counts."""
        position, task = self.position, self.task
        tokens = task.tokens(position + 1) - task.tokens(position)
        if not self._warm or tokens <= self.measured["tokens"]:
            return None, tokens
        if any(task.probe(position, g) is not None for g in range(task.shards)):
            return None, tokens
        return part("parallel", "measure").Sent(), tokens

    def weights(self) -> dict[str, Tensor]:
        """The weights of all workers, on worker 0. A collective."""
        own = {key: tensor for key, tensor in self._own_state().items() if key.startswith("model.")}
        whole = part("parallel", "state").gather(self.replica, own)
        return {key.removeprefix("model."): tensor for key, tensor in whole.items()}

    def cut(self, key: str, whole: Tensor) -> Tensor | None:
        """This worker's part of one tensor of a checkpoint, of whatever layout it is."""
        found: Tensor | None = part("parallel", "state").cut_one(self.replica, key, whole)
        return found

    def boxed(self, tensors: Mapping[str, Tensor]) -> checkpoint.Parts:
        """What this worker writes of its parts."""
        found: checkpoint.Parts = part("parallel", "state").boxed(self.replica, tensors)
        return found

    def _own_state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = part("parallel", "state").own(self.replica, self.optimizer)
        return found

    def _load(self, tensors: dict[str, Tensor]) -> None:
        part("parallel", "state").take(self.replica, self.optimizer, tensors)


class Patient:
    """An exchange with the other replicas that keeps its first failure, and from then on gives zeros.

    What goes out is counted here, a gather by a ring: whether a count of the replica's own collectives would see it
    hangs on the process group.
    """

    def __init__(self, exchange: Exchange, counter: Any = None) -> None:
        self._exchange, self._counter = exchange, counter
        self.members, self.rank = exchange.members, exchange.rank
        self.failure: RuntimeError | None = None

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        """As the exchange has it."""
        return self._try(
            lambda: self._exchange.all_to_all(send, out_sizes, in_sizes),
            lambda: send.new_zeros(sum(out_sizes)),
            (sum(in_sizes) - in_sizes[self.rank]) * send.element_size(),
        )

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """As the exchange has it."""
        return self._try(
            lambda: self._exchange.all_gather(x),
            lambda: [torch.zeros_like(x)] * self.members,
            (self.members - 1) * x.nbytes,
        )

    def _try(self, work: Callable[[], Result], instead: Callable[[], Result], sent: int) -> Result:
        before = self._counter.bytes if self._counter else 0
        if self.failure is None:
            try:
                return work()
            except RuntimeError as error:
                self.failure = error
            finally:
                if self._counter:
                    self._counter.bytes = before + sent
        return instead()


def replica(config: dict[str, Any]) -> None:
    """The life of one worker of a replica: `elastic.replica` by several. Runs in a process of its own.

    Beside that config: ``layout``, ``worker`` (its rank in the replica) and ``meeting``, the driver's store. A mistake
    is left in that store: the other workers end when this one does, and would hide it; and a disk may be full.
    """
    folder = StageFolder.open(config["run"], config["stage"], config["fingerprint"])
    if folder.done("model/manifest.json"):
        return
    try:
        _live(config, folder)
    except Exception as error:
        end_if_lost(error)
        with suppress(RuntimeError):  # the driver is gone too
            _driver_store(config).set(elastic.MISTAKE, traceback.format_exc())
        raise


def _live(config: dict[str, Any], folder: StageFolder) -> None:
    """From meeting the others to the stage's result."""
    torch.set_num_threads(config["threads"])
    layout, worker = Layout.model_validate(config["layout"]), config["worker"]
    store = _meet(config, layout)
    place = part("parallel", "mesh").make_place(layout)
    trainee = GroupTrainee(load_task(config["task"], config["run"], config["kwargs"]), place)
    status = Status(folder, config["replica"])
    found = _newest(trainee, folder, status)
    if found:
        trainee.restore(*found)
        del found
    pace = Pace(StepLog(folder, config["replica"]), getattr(trainee.task, "precision", "fp32"), layout.workers)
    manager, group = elastic.join(trainee, config, store, worker, layout.workers)
    life = str(_said_by_first(uuid.uuid4().hex[:12]))
    checkpoints = PartCheckpoints(
        folder, config["keep"], config["keep_every"], trainee.boxed, life, worker, layout.workers
    )
    try:
        while not trainee.done:
            members, before, measured = status.members, trainee.step, trainee.measured
            trainee.look(folder)
            _step(trainee, manager, group, status)
            if status.members < members and _said_by_first(folder.done("model/manifest.json")):
                return  # fell behind while the others finished
            if trainee.measured is not measured:
                _leave(trainee, folder, config["replica"])
            if trainee.step == before:
                continue
            first = manager.participating_rank() == 0
            if first and trainee.step % config["checkpoint_every"] == 0 and not trainee.done:
                checkpoints.save(trainee.step, trainee.state(), trainee.facts())
            if worker == 0:
                elastic.mark(pace, trainee, status.members, first, checkpoints.stalled)
                elastic.tell(trainee, status)
        _leave(trainee, folder, config["replica"])
        checkpoints.join()
        dist.barrier()  # everyone's parts stand
        checkpoints.finish()
        if manager.participating_rank() in (0, None) or not _said_by_first(folder.done("model/manifest.json")):
            _write_model(trainee, folder)
        if worker == 0:
            elastic.tell(trainee, status, force=True)
        dist.barrier()  # worker 0 holds the store
    finally:
        checkpoints.end()
        manager.shutdown(wait=False)
        pace.write()


def _newest(trainee: GroupTrainee, folder: StageFolder, status: Status) -> State | None:
    """This worker's parts of the newest checkpoint that all workers could read; none ever holds more than one whole
    tensor. Which ones stand is the first worker's word, as they come and go meanwhile. A collective."""
    for piece in reversed(_said_by_first(manifests(folder))):
        found, refused = read(folder, piece, trainee.cut)
        reasons = [""] * dist.get_world_size()
        dist.all_gather_object(reasons, refused)
        if not any(reasons):
            return found
        status.refused.append(next(filter(None, reasons)))
    return None


def _leave(trainee: GroupTrainee, folder: StageFolder, replica: int) -> None:
    """Leave what this worker measured of itself beside the result: bytes sent in a step, most resident memory."""
    said = {**trainee.measured, "worker": dist.get_rank(), "memory": peak_bytes()}
    key = folder.key(f"{WORKERS}/{replica}-{dist.get_rank()}.json")
    folder.storage.put(key, json.dumps(said).encode())


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
    weights = trainee.weights()
    if dist.get_rank() == 0:
        folder.write_jsonl("metrics/steps.jsonl", trainee.history)
        checkpoint.save(folder.write_bytes, "model", weights, trainee.task.facts())


def _meet(config: dict[str, Any], layout: Layout) -> "TCPStore":
    """The store of this life of the replica, with its process group up. What does not come together ends itself."""
    from torch._C._distributed_c10d import PrefixStore, TCPStore

    driver = _driver_store(config)
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


def _driver_store(config: dict[str, Any]) -> "TCPStore":
    from torch._C._distributed_c10d import TCPStore

    host, port = config["meeting"].rsplit(":", 1)
    return TCPStore(host, int(port), is_master=False)


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


def _said_by_first(value: Any) -> Any:
    """Worker 0's value. A collective."""
    said = [value]
    dist.broadcast_object_list(said, 0)
    return said[0]


def _any(trainee: GroupTrainee, flag: bool) -> bool:
    """Whether any worker of the replica says so. A collective."""
    said = torch.tensor([float(flag)], device=trainee.place.device)
    dist.all_reduce(said)
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
