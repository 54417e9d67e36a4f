"""The loop that every training stage shares: a task, its state, and one process that steps it. Knows no Ray.

Everything is a function of (config, step): a task gives the batch of each logical shard and the learning rate of each
step, so the only mutable state is weights, optimiser moments, the committed step and the history that they left.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models import checkpoint
from models.optim import make_adamw
from models.optim_config import OptimConfig
from models.schedule import lr_at
from models.step import ExactStep, LocalExchange, StepFacts
from pipeline.pretrain.state import drop_old_checkpoints, moments, set_moments
from pipeline.stage import StageFolder


class Task(Protocol):
    """What is trained: a pure function of (config, step, logical shard), built again in every worker."""

    steps: int
    shards: int
    optim: OptimConfig

    def build(self) -> nn.Module:
        """The model with its first weights."""

    def shard(self, step: int, g: int) -> Any:
        """The batch of logical shard ``g`` of a step."""

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """(sum of the loss, weight) of one shard; the step's loss is the one total over the other."""

    def probe(self, step: int, g: int) -> Any | None:
        """A held-out batch to score with the weights before this step, or None."""

    def fraction(self, step: int) -> float:
        """How much of the token budget is behind this step, in [0, 1): it decides the learning rate."""

    def tokens(self, step: int) -> int:
        """Tokens of all steps before this one."""

    def facts(self) -> dict[str, Any]:
        """What the saved weights need to be loaded: kind and config of the model."""


def load_task(target: str, run: str, kwargs: dict[str, Any]) -> Task:
    """The task that ``package.module:function`` makes for a run."""
    module, name = target.split(":")
    made: Task = getattr(importlib.import_module(module), name)(run, **kwargs)
    return made


@dataclass
class Trainee:
    """A task with its weights, optimiser, committed step and history."""

    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    exact: ExactStep[Any]
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def new(cls, task: Task) -> "Trainee":
        model = task.build()
        optimizer = make_adamw(model, task.optim)
        return cls(task, model, optimizer, ExactStep(model, optimizer, task.loss, task.shards, task.optim.clip_norm))

    def gradient(self, exchange: Any) -> Tensor:
        """This step's total over all shards; it changes nothing."""
        step = self.step
        return self.exact.gradient(
            lambda g: self.task.shard(step, g), exchange, probe_of=lambda g: self.task.probe(step, g)
        )

    def apply(self, total: Tensor) -> StepFacts:
        """Commit a total: new weights, the next step, one more line of history."""
        rate = lr_at(self.task.fraction(self.step), self.task.optim)
        facts = self.exact.apply(total, rate)
        line: dict[str, Any] = {"step": self.step, "loss": facts.loss, "grad_norm": facts.grad_norm, "lr": rate}
        line["tokens"] = self.task.tokens(self.step + 1)
        if facts.probe is not None:
            line["probe"] = facts.probe
        if not facts.applied:
            line["skipped"] = "gradient not finite" if facts.weight else "nothing counted"
        self.history.append(line)
        self.step += 1
        return facts

    # State: what a checkpoint holds, and what a peer sends to a newcomer

    def state(self) -> dict[str, Tensor]:
        """Weights and moments by name, ``model.*`` and ``optim.<moment>.*``."""
        found = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        return found | moments(self.model, self.optimizer, "optim")

    def restore(self, tensors: dict[str, Tensor], step: int, history: list[dict[str, Any]]) -> None:
        """Take over a state; learning rates and betas stay those of the config."""
        weights = {k[len("model.") :]: v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(weights)
        set_moments(self.model, self.optimizer, "optim", tensors)
        self.step, self.history = step, list(history)

    def save(self, folder: StageFolder) -> None:
        """Write a checkpoint, and take away all but the newest two."""
        top = f"checkpoints/{self.step:07d}"
        facts = {"step": self.step, "history": self.history}
        checkpoint.save(lambda key, data: folder.write_bytes(key, data), top, self.state(), facts)
        drop_old_checkpoints(folder)

    def resume(self, folder: StageFolder) -> list[str]:
        """Load the newest checkpoint that is whole; the reasons why newer ones were passed over come back."""
        refused = []
        manifests = [p for p in folder.pieces("checkpoints/") if p.endswith("manifest.json")]
        for piece in reversed(manifests):
            try:
                tensors, facts = checkpoint.load(folder.read_bytes, piece.rsplit("/", 1)[0])
            except Exception as error:  # a broken checkpoint costs steps, not the run
                refused.append(f"{piece}: {error}")
                continue
            self.restore(tensors, facts["step"], facts["history"])
            break
        return refused

    def write_model(self, folder: StageFolder) -> None:
        """The stage's result: weights with their facts, and one line for each step."""
        folder.write_jsonl("metrics/steps.jsonl", self.history)
        weights = self.model.state_dict()
        checkpoint.save(lambda key, data: folder.write_bytes(key, data), "model", weights, self.task.facts())


def train_local(task: Task, on_step: Callable[[int, StepFacts], None] | None = None) -> Trainee:
    """Train a task in this process, without checkpoints: for trials and tests. Same bits as any number of replicas."""
    trainee = Trainee.new(task)
    while trainee.step < task.steps:
        facts = trainee.apply(trainee.gradient(LocalExchange()))
        if on_step:
            on_step(trainee.step, facts)
    return trainee
