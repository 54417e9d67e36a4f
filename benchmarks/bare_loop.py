"""The training step beside a bare PyTorch loop of the same model, one process, one thread, interleaved.

The bare loop is given the better of two: micro-batches as ours, or the whole batch at once. Beside the claim stands
what exactness alone costs: the same loss in a bare loop.
"""

import torch

from benchmarks import loops
from benchmarks.claim import record
from models.config import GPTConfig
from models.optim import make_optimizer
from models.step import ExactStep, LocalExchange
from pipeline.pretrain import objective
from pipeline.pretrain.config import PretrainConfig

ROUNDS, EACH, SEQUENCES, SHARDS = 9, 2, 16, 4


def main() -> None:
    """Ratios of medians over interleaved rounds."""
    torch.set_num_threads(1)
    found = {name: compare(shape) for name, shape in (("tiny", loops.TINY), ("6 M", loops.SIX_MILLION))}
    value = min(one["ratio"] for one in found.values())
    what = "tokens/s of the training step / a bare PyTorch loop of the same model, one process"
    record("bare_loop", what, "", value, "at least 0.98", value >= 0.98, runs=[found])


def compare(shape: GPTConfig) -> dict[str, object]:
    """Ours beside each bare loop, for a model."""
    batch, how = loops.rows(shape, SEQUENCES), PretrainConfig()
    task = loops.Rows(shape, batch, SHARDS, 1)
    models = [objective.build(shape, how, 1).train() for _ in range(4)]
    exact = ExactStep(models[0], make_optimizer(models[0], loops.OPTIM), task.loss, SHARDS, 1.0)
    own = make_optimizer(models[3], loops.OPTIM)

    def ours() -> None:
        exact.apply(exact.gradient(lambda g: task.shard(0, g), LocalExchange()), 1e-3)

    def same_loss() -> None:
        own.zero_grad(set_to_none=True)
        for g in range(SHARDS):
            (task.loss(models[3], task.shard(0, g))[0] / batch[:, 1:].numel()).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(models[3].parameters(), 1.0)
        own.step()

    steps = {
        "micro-batches": loops.bare_step(models[1], batch.split(SEQUENCES // SHARDS)),
        "whole batch": loops.bare_step(models[2], [batch]),
        "same loss": same_loss,
        "ours": ours,
    }
    times = loops.interleaved(steps, ROUNDS, EACH)
    ratios = {name: loops.ratio(times, name, "ours") for name in steps if name != "ours"}
    rate = EACH * batch[:, 1:].numel() / min(times["ours"])
    return {"ratio": min(ratios["micro-batches"], ratios["whole batch"]), **ratios, "tokens_s": round(rate)}


if __name__ == "__main__":
    main()
