"""A training task that needs no files: a small GPT on made-up tokens, a held-out probe, slow steps on demand."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import next_token_sum
from models.optim_config import OptimConfig

SHAPE = GPTConfig(vocab_size=64, context=16, layers=1, width=16, heads=2, hidden=32)


class ToyTask:
    """Learn to repeat one token; ``pause_s`` makes a step long enough to be killed in its middle."""

    def __init__(self, steps: int, shards: int, pause_s: float) -> None:
        self.steps, self.shards, self.pause_s = steps, shards, pause_s
        self.optim = OptimConfig(peak_lr=1e-2, warmup_fraction=0.1, decay_fraction=0.5, final_lr_fraction=0.1)

    def build(self) -> nn.Module:
        model = GPT(SHAPE)
        init_weights(model, 7)
        return model

    def shard(self, step: int, g: int) -> Tensor:
        time.sleep(self.pause_s)
        generator = torch.Generator().manual_seed(1000 * step + g)
        return torch.randint(0, 64, (2, 1), generator=generator).expand(2, 17)

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
        return next_token_sum(model(batch[:, :-1]), batch[:, 1:])

    def probe(self, step: int, g: int) -> Tensor | None:
        return torch.full((1, 17), g) if step % 5 == 4 else None

    def fraction(self, step: int) -> float:
        return step / self.steps

    def tokens(self, step: int) -> int:
        return step * self.shards * 32

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": SHAPE.model_dump()}


def make_task(run: str, *, steps: int, shards: int, pause_s: float = 0.0) -> ToyTask:
    return ToyTask(steps, shards, pause_s)
