"""Tokens and time that Muon takes to the held-out loss of AdamW, on the tiny recipe's model and text.

    firstlight run tiny --until tokens --out RUN
    BENCH_RUN=RUN python -m benchmarks.muon

Both train side by side, one step in turn, in one process and one thread, with the same data and schedule, once for each
budget of tokens: a schedule that ends in a decay says little in its middle. Muon's budget for AdamW's last loss is read
between its own last losses, log tokens over loss.
"""

import itertools
import math
import os
import statistics
import time
from typing import Any

import torch

from benchmarks.claim import finished_run, record
from models.step import LocalExchange
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.language import make_task
from pipeline.pretrain.loop import Trainee
from pipeline.recipes import tiny

BUDGETS = [int(tokens) for tokens in os.environ.get("BENCH_TOKENS", "425_000,850_000,1_700_000").split(",")]
POINTS, WINDOWS = 10, 96
RIVALS: dict[str, dict[str, Any]] = {
    "adamw": {"kind": "adamw", "peak_lr": 3e-3},
    "muon": {"kind": "muon", "peak_lr": 8e-3},
}


def main() -> None:
    """Ratio of tokens to equal loss; the curves, and the time a step, beside it."""
    torch.set_num_threads(1)
    races = {tokens: race(finished_run(), tokens) for tokens in BUDGETS}
    last = {name: {tokens: made[name]["curve"][-1][1] for tokens, made in races.items()} for name in RIVALS}
    slower = statistics.median(made["muon"]["step_s"] / made["adamw"]["step_s"] for made in races.values())
    needed = tokens_for(last["adamw"][BUDGETS[-1]], last["muon"])
    value = round(needed / BUDGETS[-1], 3)
    runs = [{"tokens": tokens, **made} for tokens, made in races.items()]
    what = f"tokens that Muon takes to AdamW's held-out loss / AdamW's {BUDGETS[-1]:,}"
    facts = {"step_time": round(slower, 3), "time": round(value * slower, 3), "last_losses": last, "rivals": RIVALS}
    record("muon", what, "", value, "below 1: the better is the recipe's default", value < 1, runs=runs, peers=facts)


def race(run: str, tokens: int) -> dict[str, dict[str, Any]]:
    """Train the rivals in turn; of each its held-out curve (tokens, nats a token) and its median time a step."""
    recipe = tiny()
    trainees = {}
    for name, changes in RIVALS.items():
        task = make_task(
            run,
            model=recipe["model"],
            optim=recipe["optim"] | changes,
            tokens=tokens,
            batch=PretrainConfig().batch,
            shards=PretrainConfig().logical_shards,
            seed=recipe["seed"],
            curve_points=POINTS,
            curve_windows=WINDOWS,
        )
        trainees[name] = Trainee.new(task)
    seconds: dict[str, list[float]] = {name: [] for name in RIVALS}
    while not all(trainee.done for trainee in trainees.values()):
        for name, trainee in trainees.items():
            start = time.perf_counter()
            trainee.apply(trainee.gradient(LocalExchange()))
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {
            "step_s": statistics.median(seconds[name]),
            "curve": [(line["tokens"], line["probe"]) for line in trainee.history if "probe" in line],
        }
        for name, trainee in trainees.items()
    }


def tokens_for(loss: float, last: dict[int, float]) -> float:
    """The budget whose last loss is `loss`, on the lines between budgets; beyond them the nearest line goes on."""
    pairs = list(itertools.pairwise(sorted(last.items())))
    for (few, high), (many, low) in pairs:
        if loss >= low or (many, low) == pairs[-1][1]:
            share = (high - loss) / (high - low)
            return math.exp(math.log(few) + share * math.log(many / few))
    raise ValueError("a line between budgets needs two of them: BENCH_TOKENS=425_000,850_000")


if __name__ == "__main__":
    main()
