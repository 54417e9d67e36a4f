"""T-Fixup without norms and warmup, beside the default init under the same conditions: twelve layers, real text.

Every model sees the same windows of the standard library's source at the same constant rate; the default init with norm
and warmup runs along, as what one would do instead. Diverged is a loss of twice a blind guess's, or none. From 4e-3 on
T-Fixup has such a step, too, its third.
"""

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.claim import record
from benchmarks.stdlib_text import split, windows
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import next_token_sum
from models.optim import make_optimizer, set_lr
from models.optim_config import OptimConfig

STEPS, WARMUP, CONTEXT, ROWS, POINTS = 400, 40, 64, 8, 20
BLIND = 2 * math.log(256)
RATES = (1e-3, 2e-3, 3e-3)
SHAPE = {"vocab_size": 256, "context": CONTEXT, "layers": 12, "width": 64, "heads": 4, "hidden": 168}
MODELS = {
    "T-Fixup, no norm, no warmup": ({"init": "tfixup", "norm": "none"}, 0),
    "default init, no norm, no warmup": ({"norm": "none"}, 0),
    "default init, norm, warmup": ({}, WARMUP),
}


def main() -> None:
    """Curves of each model at each rate; the value is T-Fixup's last loss at its best rate."""
    torch.set_num_threads(1)
    data, _ = split()
    runs = []
    for name, (changes, warmup) in MODELS.items():
        for rate in RATES:
            losses = train(GPTConfig.model_validate(SHAPE | changes), data, rate, warmup)
            runs.append({"model": name, "rate": rate, **told(losses)})
            print(name, rate, runs[-1]["last"], runs[-1]["worst"], flush=True)
    by_model = {name: [run for run in runs if run["model"] == name] for name in MODELS}
    ours, plain, _ = by_model.values()
    holds = not any(run["diverged"] for run in ours) and all(run["diverged"] for run in plain)
    peers = {name: best(found) for name, found in by_model.items()}
    what = "T-Fixup, 12 layers, no norm, no warmup: last loss"
    bar = f"stable at rates {RATES}, where the default init without norm and warmup diverges"
    record("tfixup", what, "nats a byte", peers[next(iter(MODELS))]["value"], bar, holds, runs=runs, peers=peers)


def told(losses: list[float]) -> dict[str, Any]:
    """What is recorded of a run: the smoothed curve, the last point of it, the worst step."""
    whole = len(losses) == STEPS
    curve = [round(sum(losses[i : i + POINTS]) / POINTS, 4) for i in range(0, len(losses) - POINTS + 1, POINTS)]
    worst = max(losses) if whole else None
    diverged = worst is None or worst > BLIND
    return {"last": curve[-1] if whole else None, "worst": worst, "diverged": diverged, "curve": curve}


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The best run's last loss, its rate and whether it diverged on the way."""
    lived = [run for run in runs if run["last"] is not None]
    found = min(lived, key=lambda run: float(run["last"]), default=None)
    return {
        "value": found["last"] if found else None,
        "version": f"rate {found['rate']}" if found else "finite at no rate",
        "diverged": [run["rate"] for run in runs if run["diverged"]],
    }


def train(config: GPTConfig, data: Tensor, rate: float, warmup: int) -> list[float]:
    """Losses of AdamW steps at a constant rate after a linear warmup; up to the last that is finite."""
    model = GPT(config)
    init_weights(model, 1)
    optimizer = make_optimizer(model, OptimConfig(peak_lr=rate))
    draw, losses = torch.Generator().manual_seed(3), list[float]()
    for step in range(STEPS):
        batch = windows(data, ROWS, CONTEXT, draw)
        total, weight = next_token_sum(model(batch[:, :-1]), batch[:, 1:])
        optimizer.zero_grad()
        (total / weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        set_lr(optimizer, rate * min(1.0, (step + 1) / warmup) if warmup else rate)
        optimizer.step()
        losses.append(float(total.detach() / weight))
        if not math.isfinite(losses[-1]):
            return losses[:-1]
    return losses


if __name__ == "__main__":
    main()
