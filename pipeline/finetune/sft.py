"""Supervised fine-tuning as a task of the training loop: packed dialogues in, summed loss over counted tokens out.

Knows no replicas and no failures (pipeline/pretrain/elastic.py), and no corpus (dialogues.py, packing.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.chat import Turn, prompt
from models.generate import generate
from models.gpt import GPT
from models.losses import IGNORE, next_token_sum
from models.tokenizer import Tokenizer
from pipeline.evaluate.weights import check_match, load_gpt, load_shape
from pipeline.finetune.config import FinetuneConfig
from pipeline.finetune.packing import POSITIONS, SEGMENTS, TARGETS, TOKENS, Rows, from_bytes
from pipeline.stage import StageFolder
from pipeline.tokens.order import in_passes
from pipeline.tokens.pieces import load_tokenizer

TRAIN, HELDOUT = "work/train.bin", "work/heldout.bin"


@dataclass(frozen=True)
class Batch:
    """Packed rows as tensors ``[B, T]``."""

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    segments: Tensor

    @classmethod
    def of(cls, rows: Rows) -> "Batch":
        tokens, targets, positions, segments = (
            torch.from_numpy(np.ascontiguousarray(rows[:, line]).astype(np.int64))
            for line in (TOKENS, TARGETS, POSITIONS, SEGMENTS)
        )
        return cls(tokens, targets, positions, segments)


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Summed loss over the counted tokens, and their number. Logits are made for those places only."""
    assert isinstance(model, GPT)
    hidden_BTD = model.hidden(batch.tokens, batch.positions, batch.segments)
    counted = batch.targets != IGNORE
    return next_token_sum(model.logits(hidden_BTD[counted])[None], batch.targets[counted][None])


class SftTask:
    """A pure function of (packed rows, config, step, shard)."""

    def __init__(self, config: FinetuneConfig, seed: int, rows: Rows, heldout: Rows, start: StageFolder) -> None:
        assert len(rows) and len(heldout), "nothing to train on"
        self.config, self.seed, self.rows, self.heldout, self.start = config, seed, rows, heldout, start
        self.shards, self.optim = config.logical_shards, config.optim
        self.steps = -(-len(rows) * config.epochs // config.batch)  # the last step is filled from the next epoch
        points = min(config.curve_points, self.steps)
        self.curve = {round(i * self.steps / points) for i in range(points)}

    def build(self) -> nn.Module:
        """The pretrained model."""
        return load_gpt(self.start).train()

    def shard(self, step: int, g: int) -> Batch:
        """A contiguous share of the step's rows."""
        each = self.config.batch // self.shards
        first = step * self.config.batch + g * each
        return Batch.of(self.rows[[in_passes(self.seed, len(self.rows), k) for k in range(first, first + each)]])

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        return loss(model, batch)

    def probe(self, step: int, g: int) -> Batch | None:
        """This shard's share of the held-out rows, at the points of the curve."""
        mine = self.heldout[g :: self.shards]
        return Batch.of(mine) if step in self.curve and len(mine) else None

    def fraction(self, step: int) -> float:
        return (step + 0.5) / self.steps

    def tokens(self, step: int) -> int:
        return step * self.config.batch * int(self.rows.shape[2])

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": load_shape(self.start).model_dump()}


def make_task(run: str, *, config: dict[str, Any], seed: int, fingerprint: str) -> SftTask:
    """The task of a run, built by name in each worker."""
    own = StageFolder.open(run, "finetune", fingerprint)
    rows, heldout = from_bytes(own.read_bytes(TRAIN)), from_bytes(own.read_bytes(HELDOUT))
    return SftTask(FinetuneConfig(**config), seed, rows, heldout, StageFolder.open(run, "pretrain"))


@torch.inference_mode()
def mean_loss(model: GPT, rows: Rows) -> float:
    """Nats per counted token over packed rows, one row at a time."""
    sums = [loss(model, Batch.of(rows[i : i + 1])) for i in range(len(rows))]
    return sum(float(s) for s, _ in sums) / sum(float(w) for _, w in sums)


def replies(
    model: GPT, tokenizer: Tokenizer, prompts: Sequence[str], *, max_new: int, temperature: float, seed: int
) -> list[str]:
    """One reply to each prompt; the random numbers are keyed by (seed, prompt's place), so models can be compared."""
    samples = generate(
        model,
        [prompt(tokenizer, [Turn("user", text)]) for text in prompts],
        max_new=max_new,
        temperature=temperature,
        stop_id=tokenizer.end_id,
        pad_id=tokenizer.pad_id,
        keys=[(seed, i) for i in range(len(prompts))],
    )
    return [tokenizer.decode(s.tokens) + ("" if s.ended else " ...") for s in samples]


def compare(
    stages: dict[str, StageFolder],
    tokens: StageFolder,
    config: FinetuneConfig,
    heldout: Rows,
    prompts: list[str],
    seed: int,
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Held-out nats per assistant token of each model, and their replies side by side."""
    torch.set_num_threads(config.threads)
    tokenizer = load_tokenizer(tokens)
    losses: dict[str, Any] = {"tokens": int((heldout[:, TARGETS] != IGNORE).sum())}
    samples: list[dict[str, str]] = [{"prompt": text} for text in prompts]
    for name, folder in stages.items():
        model = load_gpt(folder)
        check_match(model, tokenizer, folder.stage)
        losses[name] = mean_loss(model, heldout)
        said = replies(
            model, tokenizer, prompts, max_new=config.sample_tokens, temperature=config.temperature, seed=seed
        )
        for line, reply in zip(samples, said, strict=True):
            line[name] = reply
    return losses, samples
