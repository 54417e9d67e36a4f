"""Utilisation of one replica as it is shipped, and what it waits for: data and checkpoints. One process, one thread.

A whole replica runs in this process (pipeline/pretrain/elastic.py, without Ray) on made-up tokens, with a checkpoint
every few steps; the figures are those that a run keeps for each step. Beside the claim stands what utilisation depends
on: wider products, and, with AVX-512 off, a peak that is nearer to what the same memory delivers.
"""

import json
import operator
import os
import statistics
import subprocess
import sys
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
WIDE = {"10 M, wide": GPTConfig(vocab_size=4096, context=256, layers=2, width=576, heads=9, hidden=1536)}
BESIDE = {"6 M": SHAPES["6 M"], **WIDE}  # not in the claim: trained with AVX-512 off
AVX2 = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}  # read when a process starts
STEPS, SEQUENCES, SHARDS, EVERY, WARMUP = 24, 16, 4, 6, 2
RULES: dict[str, tuple[Callable[..., float], Callable[[float, float], bool]]] = {
    "at least": (min, operator.ge),
    "below": (max, operator.lt),
}
"""A bar in words -> which of the models is the worst, and whether its value meets the bar."""

Found = dict[str, dict[str, Any]]


def main() -> None:
    """The least utilisation of the models; the most waiting."""
    torch.set_num_threads(1)
    found = {name: train(shape) for name, shape in SHAPES.items()}
    compiled = {name: train(shape, {"compile": True}) for name, shape in SHAPES.items()}
    wide = {name: train(shape) for name, shape in WIDE.items()}
    off = {f"{name}, AVX-512 off": train_in(AVX2, name) for name in BESIDE}
    what = "model FLOPs utilisation of the same models with pretrain.compile"
    tell("mfu_compiled", "mfu", what, "", "at least", 0.75, [compiled])
    what = "model FLOPs utilisation of 3 to 10 M parameters, of the measured GEMM peak"
    tell("mfu", "mfu", what, "", "at least", 0.75, [found, wide, off])
    what = "time that steps wait for their data"
    tell("loader_wait", "loader_wait", what, "of the time", "below", 0.01, [found])
    what = "time that a checkpoint holds a step up"
    tell("checkpoint_stall", "checkpoint_stall", what, "of a step", "below", 0.1, [found])


def tell(claim: str, key: str, what: str, unit: str, rule: str, bar: float, runs: list[Found]) -> None:
    """The worst model's `key`; only the first of `runs` is in the claim."""
    worst, holds = RULES[rule]
    value = round(worst(one[key] for one in runs[0].values()), 4)
    record(claim, what, unit, value, f"{rule} {bar}", holds(value, bar), runs=runs)


def train_in(environment: dict[str, str], name: str) -> dict[str, Any]:
    """`train` of one of BESIDE in a process of its own, whose peak is measured under the same environment."""
    command = [sys.executable, "-m", "benchmarks.mfu", name]
    said = subprocess.run(command, check=True, env=os.environ | environment, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


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
    if sys.argv[1:]:
        torch.set_num_threads(1)
        print(json.dumps(train(BESIDE[sys.argv[1]])), flush=True)
    else:
        main()
