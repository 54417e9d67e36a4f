"""What the benchmarks of the training step share: a model, its tokens, and a bare PyTorch loop. No claim of its own."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import GPTConfig
from models.optim_config import OptimConfig
from pipeline.pretrain import objective
from pipeline.pretrain.config import PretrainConfig
from pipeline.recipes import tiny

TINY = GPTConfig.model_validate(tiny()["model"])
SIX_MILLION = GPTConfig(vocab_size=4096, context=256, layers=6, width=256, heads=4, hidden=704)
OPTIM, HOW = OptimConfig(peak_lr=1e-3), PretrainConfig()


def rows(shape: GPTConfig, sequences: int) -> Tensor:
    """Random windows [sequences, T + 1]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(shape.vocab_size, (sequences, shape.context + 1), generator=generator)


@dataclass
class Rows:
    """A task over one batch that never changes: the same work each step, and no files."""

    shape: GPTConfig
    batch: Tensor
    shards: int
    steps: int
    optim: OptimConfig = OPTIM
    how: PretrainConfig = HOW

    def build(self) -> nn.Module:
        return objective.build(self.shape, self.how, 1)

    def shard(self, step: int, g: int) -> Tensor:
        size = len(self.batch) // self.shards
        return self.batch[g * size : (g + 1) * size]

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, ...]:
        return objective.loss(model, batch[:, :-1], batch[:, 1:], self.how)

    def probe(self, step: int, g: int) -> None:
        return None

    def fraction(self, step: int) -> float:
        return (step + 0.5) / self.steps

    def tokens(self, step: int) -> int:
        return step * self.batch[:, 1:].numel()

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": self.shape.model_dump()}


def bare_step(model: nn.Module, parts: Sequence[Tensor]) -> Callable[[], None]:
    """One step as one writes it in a page of PyTorch: cross-entropy of the logits, clip, fused AdamW.

    A wrapped model (DistributedDataParallel) sums its gradients with the last part.
    """
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    count = sum(part[:, 1:].numel() for part in parts)

    def one(part: Tensor) -> None:
        logits = model(part[:, :-1])
        (F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum") / count).backward()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for part in parts[:-1]:
            if isinstance(model, nn.parallel.DistributedDataParallel):
                with model.no_sync():
                    one(part)
            else:
                one(part)
        one(parts[-1])
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def interleaved(
    steps: dict[str, Callable[[], None]], rounds: int, each: int, between: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Seconds of ``each`` steps of each kind, kind after kind, round after round; the first round is a warmup."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            between()
            start = time.perf_counter()
            for _ in range(each):
                step()
            if round_:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], peer: str, ours: str) -> float:
    """How much faster ours is: the median over the rounds of peer / ours."""
    return round(statistics.median(p / o for p, o in zip(times[peer], times[ours], strict=True)), 3)
