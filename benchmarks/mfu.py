"""Utilisation of one replica as it is shipped, and what it waits for: data and checkpoints. One process, one thread.

A whole replica runs in this process (pipeline/pretrain/elastic.py, without Ray) on made-up tokens, with a checkpoint
every few steps; the figures are those that a run keeps for each step.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import loops
from benchmarks.claim import record
from models.config import GPTConfig
from pipeline.pretrain import elastic, pace, steplog
from tests.support import streams
from tests.support.context import context

SHAPES = {
    "3 M": GPTConfig(vocab_size=4096, context=256, layers=4, width=192, heads=4, hidden=528),
    "6 M": loops.SIX_MILLION,
    "10 M": GPTConfig(vocab_size=4096, context=256, layers=8, width=320, heads=5, hidden=768),
}
STEPS, SEQUENCES, SHARDS, EVERY, WARMUP = 24, 16, 4, 6, 2


def main() -> None:
    """The least utilisation of the models; the most waiting."""
    torch.set_num_threads(1)
    found = {name: train(shape) for name, shape in SHAPES.items()}
    compiled = {name: train(shape, {"compile": True}) for name, shape in SHAPES.items()}

    def tell(key: str, what: str, unit: str, bar: str, worst: Callable[..., float], holds: Callable[..., bool]) -> None:
        value = round(worst(one[key] for one in found.values()), 4)
        record(key, what, unit, value, bar, holds(value), runs=[found])

    fused = round(min(one["mfu"] for one in compiled.values()), 4)
    what = "model FLOPs utilisation of the same models with pretrain.compile"
    record("mfu_compiled", what, "", fused, "at least 0.75", fused >= 0.75, runs=[compiled])

    tell("mfu", "model FLOPs utilisation of 3 to 10 M parameters, of the measured GEMM peak", "", "at least 0.75", min,
         lambda value: value >= 0.75)  # fmt: skip
    tell("loader_wait", "time that steps wait for their data", "of the time", "below 0.01", max,
         lambda value: value < 0.01)  # fmt: skip
    tell("checkpoint_stall", "time that a checkpoint holds a step up", "of a step", "below 0.1", max,
         lambda value: value < 0.1)  # fmt: skip


def train(shape: GPTConfig, pretrain: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the steps of a replica said; the first are a warmup. The peak is the best of before and after."""
    with tempfile.TemporaryDirectory() as run:
        tokens = STEPS * SEQUENCES * shape.context
        streams.write(Path(run), {"a": tokens + 1}, {"a": 1000}, vocabulary=shape.vocab_size)
        ctx, _ = context(run, "pretrain")
        kwargs = {"model": shape.model_dump(), "optim": loops.OPTIM.model_dump(), "tokens": tokens, "seed": 1}
        kwargs |= {"batch": [[0.0, SEQUENCES]], "shards": SHARDS, "pretrain": pretrain}

        def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
            elastic.replica(configs[0])

        before = pace.gemm_peak()
        elastic.train(
            ctx, "pipeline.pretrain.language:make_task", kwargs, replicas=1, threads=1, checkpoint_every=EVERY,
            launch=launch, label="mfu",
        )  # fmt: skip
        lines = steplog.read(ctx.folder)[WARMUP:]
    peak = max(before, pace.gemm_peak())
    seconds = [line["seconds"] for line in lines]
    plain = statistics.median(seconds)
    a_step = SEQUENCES * shape.context * shape.flops_per_token()
    stalls = [line["checkpoint_stall"] / plain for line in lines if line["checkpoint_stall"]]
    after = [s / plain - 1 for s, line in zip(seconds[1:], lines, strict=False) if line["checkpoint_stall"]]
    return {
        "parameters": shape.parameters(),
        "mfu": a_step / plain / peak,
        "loader_wait": sum(line["loader_wait"] for line in lines) / sum(seconds),
        "checkpoint_stall": max(stalls),
        "step_while_one_is_written": max(after, default=0.0),  # longer by this share: it takes what is left of the disk
        "tokens_s": SEQUENCES * shape.context / plain,
        "peak_flops": peak,
        "memory_bytes": max(line["memory_bytes"] for line in lines),
    }


if __name__ == "__main__":
    main()
