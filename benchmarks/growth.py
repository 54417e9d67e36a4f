"""Starting small: tokens that a grown model needs to a held-out loss, over those of the same model from scratch.

A small model is trained on windows of its own, grown in width and in depth by each method, and goes on with the windows
that the large one gets from scratch. The rate is constant after a short warmup, and the optimiser starts anew in each.
FLOPs count the small model's training too.
"""

import math

import torch
from torch import Tensor

from benchmarks.claim import record
from benchmarks.stdlib_text import split, windows
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.inits.growth import Depth, grow
from models.losses import next_token_sum
from models.optim import make_optimizer, set_lr
from models.optim_config import OptimConfig

CONTEXT, ROWS, RATE, WARMUP = 64, 16, 2e-3, 20
STEPS, SMALL_STEPS, EVERY, HELD_ROWS = 500, 500, 10, 64
SHAPE = {"vocab_size": 256, "context": CONTEXT, "layers": 2, "width": 64, "heads": 2, "hidden": 168}
SMALL = GPTConfig.model_validate(SHAPE)
LARGE = GPTConfig.model_validate(SHAPE | {"layers": 6, "width": 128, "heads": 4, "hidden": 344})
METHODS: tuple[Depth, ...] = ("identity", "stack", "interleave")
Curve = list[tuple[int, float]]  # (step, held-out loss)


def main() -> None:
    """The value is the best method's share of the tokens from scratch, to the loss that those end at."""
    torch.set_num_threads(1)
    train, held = split()
    probe = windows(held, HELD_ROWS, CONTEXT, torch.Generator().manual_seed(9))
    small, scratch = drawn(SMALL), drawn(LARGE)
    curves = {"small": run(small, train, probe, SMALL_STEPS, 4), "scratch": run(scratch, train, probe, STEPS)}
    level = last(curves["scratch"])
    tokens, flops, before = {}, {}, loss(small, probe)
    for method in METHODS:
        model = GPT(LARGE)
        model.load_state_dict(grow(small.state_dict(), SMALL, LARGE, 1, method))
        curves[method] = run(model, train, probe, STEPS)
        steps = reached(curves[method], level)
        tokens[method] = steps / STEPS
        paid = SMALL_STEPS * SMALL.flops_per_token() + steps * LARGE.flops_per_token()
        flops[method] = round(paid / (STEPS * LARGE.flops_per_token()), 3)
        print(method, tokens[method], flops[method], curves[method][0], flush=True)
    kept = abs(curves["identity"][0][1] - before)
    best = min(tokens, key=lambda method: tokens[method])
    runs = [{"curves": curves, "tokens": tokens, "flops": flops, "level": level, "identity_changes_loss_by": kept}]
    what = "tokens of a grown model / from scratch, to equal held-out loss"
    bar = "below 1 with the small model's FLOPs counted; loss kept to 1e-4 by identity"
    holds = min(flops.values()) < 1 and kept <= 1e-4
    record("growth", what, f"({best})", round(tokens[best], 3), bar, holds, runs=runs)


def drawn(config: GPTConfig) -> GPT:
    """A model with its first weights."""
    model = GPT(config)
    init_weights(model, 1)
    return model


def run(model: GPT, data: Tensor, probe: Tensor, steps: int, seed: int = 3) -> Curve:
    """Held-out losses of AdamW steps, the first before any."""
    optimizer, draw = make_optimizer(model, OptimConfig(peak_lr=RATE)), torch.Generator().manual_seed(seed)
    curve = [(0, loss(model, probe))]
    for step in range(1, steps + 1):
        batch = windows(data, ROWS, CONTEXT, draw)
        total, weight = next_token_sum(model(batch[:, :-1]), batch[:, 1:])
        optimizer.zero_grad()
        (total / weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        set_lr(optimizer, RATE * min(1.0, step / WARMUP))
        optimizer.step()
        if step % EVERY == 0:
            curve.append((step, loss(model, probe)))
    return curve


def loss(model: GPT, probe: Tensor) -> float:
    """Nats a byte on the held-out windows."""
    with torch.no_grad():
        total, weight = next_token_sum(model(probe[:, :-1]), probe[:, 1:])
    return round(float(total / weight), 5)


def last(curve: Curve) -> float:
    """The mean of the last five points."""
    return sum(value for _, value in curve[-5:]) / 5


def reached(curve: Curve, level: float) -> float:
    """The first step from which five points have a mean below a level; infinite where there is none."""
    for i in range(len(curve) - 4):
        if last(curve[i : i + 5]) <= level:
            return curve[i + 2][0]
    return math.inf


if __name__ == "__main__":
    main()
