"""A training task that learns in a second: made-up text with one rule, a stretch of poison on demand, and a plan."""

import random
from collections.abc import Container, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import next_token_sum
from models.optim_config import OptimConfig
from models.schedule import BatchSchedule, Plan
from models.step import LocalExchange
from pipeline.pretrain.guard_config import GuardConfig
from pipeline.pretrain.loop import Trainee
from pipeline.pretrain.swap_config import SwapConfig

VOCABULARY, CONTEXT, SHARDS, BATCH = 16, 16, 2, 8
SHAPE = GPTConfig(vocab_size=VOCABULARY, context=CONTEXT, layers=1, width=16, heads=2, hidden=32, activation="relu")


class GuardedTask:
    """Each token is three more than the one before, but one in ten is any; where poisoned, all tokens are any."""

    def __init__(
        self,
        steps: int = 120,
        *,
        peak_lr: float = 1e-2,
        poison: Container[int] = (),
        guard: GuardConfig | None = None,
        swaps: Sequence[SwapConfig] = (),
        shape: GPTConfig = SHAPE,
    ) -> None:
        self.shards, self.poison, self.model_config = SHARDS, poison, shape
        self.guard, self.swaps = guard or GuardConfig(), swaps
        self.optim = OptimConfig(peak_lr=peak_lr, warmup_fraction=0.1, decay_fraction=0.6, final_lr_fraction=0.1)
        self.plan = Plan(steps * BATCH, BatchSchedule(((0.0, BATCH),)))
        self.steps = steps

    def build(self) -> nn.Module:
        model = GPT(self.model_config)
        init_weights(model, 7)
        return model

    def shard(self, step: int, g: int) -> Tensor:
        first, count, _ = self.plan.step(step)
        each = count // SHARDS
        return text(first + g * each, each, 1.0 if step in self.poison else 0.1)

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
        return next_token_sum(model(batch[:, :-1]), batch[:, 1:])

    def probe(self, step: int, g: int) -> Tensor | None:
        return None

    def fraction(self, step: int) -> float:
        return self.plan.step(step)[2]

    def tokens(self, step: int) -> int:
        first = self.plan.step(step)[0] if step < self.steps else self.plan.total_sequences
        return first * CONTEXT

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": self.model_config.model_dump()}


def text(first: int, count: int, noise: float) -> Tensor:
    """int64 ``[count, CONTEXT + 1]``; each row is drawn from its own number."""
    return torch.tensor([row(number, noise) for number in range(first, first + count)])


@cache
def row(number: int, noise: float) -> tuple[int, ...]:
    draw = random.Random(number)
    tokens = [draw.randrange(VOCABULARY)]
    for _ in range(CONTEXT):
        odd, other = draw.random() < noise, draw.randrange(VOCABULARY)
        tokens.append(other if odd else (tokens[-1] + 3) % VOCABULARY)
    return tuple(tokens)


def heldout(model: nn.Module) -> float:
    """Loss of text that no plan holds, nats a token."""
    batch = text(10**6, 200, 0.1)
    with torch.no_grad():
        model.eval()
        total, weight = next_token_sum(model(batch[:, :-1]), batch[:, 1:])
    return float(total / weight)


def advance(trainee: Trainee, steps: int = 10**6) -> Trainee:
    """So many steps on, or to the end."""
    while steps and not trainee.done:
        trainee.apply(trainee.gradient(LocalExchange()))
        steps -= 1
    return trainee
