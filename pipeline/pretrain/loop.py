"""The loop that every training stage shares: a task, its state, and one process that steps it. Knows no Ray.

Everything is a function of (config, step): a task gives the batch of each logical shard and the learning rate of each
position in its data, so the only mutable state is weights, optimiser moments, the committed step and the history that
they left. What the guard and the swaps do is read off that history (course.py), so it is replayed exactly.
"""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models import checkpoint
from models.optim import make_optimizer
from models.optim_config import OptimConfig
from models.schedule import lr_at
from models.step import ExactStep, LocalExchange, StepFacts
from models.swap import carry
from pipeline.pretrain.course import Course
from pipeline.pretrain.guard import OFF, Ring, judge
from pipeline.pretrain.guard_config import GuardConfig
from pipeline.pretrain.state import moments, set_moments
from pipeline.pretrain.swap import live_swaps, rewarm_steps, swapped
from pipeline.pretrain.swap_config import SwapConfig
from pipeline.stage import StageFolder


class Task(Protocol):
    """What is trained: a pure function of (config, position, logical shard), built again in every worker.

    It may also have ``guard`` (GuardConfig, else off), ``swaps`` (the recipe's SwapConfigs, else none),
    ``parts(batch)`` (micro-batches of a shard) and ``key(step, g)`` (seed of a shard's dropout). A task that is swapped
    has ``model_config`` and ``plan`` too.
    """

    steps: int
    shards: int
    optim: OptimConfig

    def build(self) -> nn.Module:
        """The model with its first weights."""

    def shard(self, step: int, g: int) -> Any:
        """The batch of logical shard ``g`` of the batch at a position."""

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, ...]:
        """(sum of the loss, weight) of one shard; the step's loss is the one total over the other."""

    def probe(self, step: int, g: int) -> Any | None:
        """A held-out batch to score with the weights before this position, or None."""

    def fraction(self, step: int) -> float:
        """How much of the token budget is behind this position, in [0, 1): it decides the learning rate."""

    def tokens(self, step: int) -> int:
        """Tokens of all positions before this one."""

    def facts(self) -> dict[str, Any]:
        """What the saved weights need to be loaded: kind and config of the model."""


def load_task(target: str, run: str, kwargs: dict[str, Any]) -> Task:
    """The task that ``package.module:function`` makes for a run."""
    module, name = target.split(":")
    made: Task = getattr(importlib.import_module(module), name)(run, **kwargs)
    return made


def whole(batch: Any) -> Sequence[Any]:
    """A shard as its only micro-batch."""
    return (batch,)


class Trainee:
    """A task with its weights, optimiser, committed step and history."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    exact: ExactStep[Any]

    def __init__(self, task: Task) -> None:
        self._first = task
        self.guard: GuardConfig = getattr(task, "guard", OFF)
        self.log = {f"recipe/{i}": swap for i, swap in enumerate(getattr(task, "swaps", ()))}
        self.history: list[dict[str, Any]] = []
        self.course = Course(self.guard.window)
        self._ring = Ring(self.guard.back)
        self._become(task)

    @classmethod
    def new(cls, task: Task) -> "Trainee":
        """A task at its beginning."""
        return cls(task)

    def _become(self, task: Task) -> None:
        """Another task's model, optimiser and step, with first weights. No hyper-parameter comes from a state."""
        self.task, self.model = task, task.build()
        self.optimizer = make_optimizer(self.model, task.optim)
        parts = getattr(task, "parts", whole)
        self.exact = ExactStep(self.model, self.optimizer, task.loss, task.shards, task.optim.clip_norm, parts)

    # Where it stands

    @property
    def step(self) -> int:
        """Attempts so far, those that the guard left out among them: what replicas agree on."""
        return self.course.step

    @property
    def position(self) -> int:
        """The next batch of the plan."""
        return self.course.position

    @property
    def done(self) -> bool:
        """Whether the data of the plan is used up."""
        return self.position >= self.task.steps

    @property
    def tokens(self) -> int:
        """Tokens that are behind."""
        return self.task.tokens(min(self.position, self.task.steps))

    @property
    def bodies(self) -> Sequence[nn.Module]:
        """The modules that this process computes."""
        return [self.model]

    # One step

    def look(self, folder: StageFolder) -> None:
        """Read the swaps that were asked for since; cheap, before each step."""
        self.log |= live_swaps(folder, self.log)

    def gradient(self, exchange: Any) -> Tensor:
        """This step's total over all shards; it changes nothing."""
        step, position, task = self.step, self.position, self.task
        key = getattr(task, "key", shard_key)
        return self.exact.gradient(
            lambda g: task.shard(position, g),
            exchange,
            probe_of=lambda g: task.probe(position, g),
            key_of=lambda g: key(step, g),
        )

    def apply(self, total: Tensor) -> StepFacts:
        """Commit a total: new weights or the guard's event, the next step, one more line of history."""
        if self.guard.rolls_back:
            self._ring.offer(self.step, self._own_state)
        rate = lr_at(self.task.fraction(self.position), self.task.optim) * self.course.rate()
        facts = self.exact.facts(total)
        event = judge(self.guard, self.course, facts, self.task.steps - self.position - 1)
        if event is None:
            facts = self.exact.apply(total, rate)
        line: dict[str, Any] = {"step": self.step, "loss": facts.loss, "grad_norm": facts.grad_norm, "lr": rate}
        if self.position != self.step:
            line["position"] = self.position
        if facts.probe is not None:
            line["probe"] = facts.probe
        if event:
            facts = replace(facts, applied=False)
            line |= {"skipped": event["cause"], "guard": event}
            if event["action"].startswith("rollback"):
                event["to"], tensors = self._ring.back()
                self._load(tensors)
        elif not facts.applied:
            line["skipped"] = "gradient not finite" if facts.weight else "nothing counted"
        self._commit(line)
        return facts

    def _commit(self, line: dict[str, Any]) -> None:
        """Go one step on, and make the swaps that are due there."""
        self.course.see(line)
        line["tokens"] = self.tokens
        self.history.append(line)
        if self.done:
            return
        made = {swap["name"] for swap in self.course.swaps}
        fraction = self.task.fraction(self.position)
        for name, swap in self.log.items():
            if name not in made and swap.due(self.step, fraction):
                line.setdefault("swaps", []).append(self._swap(name, swap))

    def _swap(self, name: str, swap: SwapConfig) -> dict[str, Any]:
        """Become the task that a swap makes, with the same weights and what its optimiser takes over."""
        old, state = self.task, self._own_state()
        self._become(swapped(old, swap.set, self.position))
        warmup = rewarm_steps(old.optim, self.task.optim)
        self._load(carry(state, self.model, self.optimizer, old.optim, self.task.optim))
        made = {"name": name, **swap.model_dump(), "position": self.position, "warmup": warmup}
        made["anew"] = not swap.comparable
        if "batch" in swap.set and getattr(self.task, "plan", None) is getattr(old, "plan", 0):
            made["unfilled"] = True  # the rest of the budget does not fill one: the batch stays
        if made["anew"]:
            self._ring.clear()
        self.course.swap(made)
        return made

    # State: what a checkpoint holds, and what a peer sends to a newcomer

    def state(self) -> dict[str, Tensor]:
        """Weights and moments by name, ``model.*`` and ``optim.<moment>.*``, and the states that a rollback needs."""
        return self._own_state() | self._ring.tensors()

    def facts(self) -> dict[str, Any]:
        """The rest of the state, as JSON."""
        return {"step": self.step, "history": list(self.history)}

    def _own_state(self) -> dict[str, Tensor]:
        found = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        return found | moments(self.model, self.optimizer, "optim")

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take over a state. Rates, betas and all other settings are those of the config and of the swaps made."""
        self.history = list(facts["history"])
        self.course = Course.of(self.history, self.guard.window)
        task = self._first
        for swap in self.course.swaps:
            task = swapped(task, swap["set"], swap["position"])
        if self.course.swaps or self.task is not self._first:
            self._become(task)
        self._load(tensors)
        self._ring.restore(tensors)

    def _load(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict({k[len("model.") :]: v for k, v in tensors.items() if k.startswith("model.")})
        set_moments(self.model, self.optimizer, "optim", tensors)

    def write_model(self, folder: StageFolder) -> None:
        """The stage's result: weights with their facts, and one line for each step."""
        folder.write_jsonl("metrics/steps.jsonl", self.history)
        checkpoint.save(folder.write_bytes, "model", self.model.state_dict(), self.task.facts())


def shard_key(step: int, g: int) -> int:
    """The seed of a shard's dropout, where the task names none."""
    return int.from_bytes(hashlib.sha256(f"{step}/{g}".encode()).digest()[:8], "little")


def train_local(task: Task, on_step: Callable[[int, StepFacts], None] | None = None) -> Trainee:
    """Train a task in this process, without checkpoints: for trials and tests. Same bits as any number of replicas."""
    trainee = Trainee.new(task)
    while not trainee.done:
        facts = trainee.apply(trainee.gradient(LocalExchange()))
        if on_step:
            on_step(trainee.step, facts)
    return trainee
