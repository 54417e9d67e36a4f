"""What exactness costs: tokens a second of the exact step beside a plain loop of the same model, interleaved."""

import statistics
import time

import torch

from benchmarks.claim import record
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import next_token_sum
from models.optim import make_adamw
from models.optim_config import OptimConfig
from models.step import ExactStep, LocalExchange
from pipeline.recipes import tiny

ROUNDS, STEPS, SEQUENCES, SHARDS = 7, 3, 16, 4


def main() -> None:
    """Ratio of medians over interleaved rounds, one process, one thread."""
    torch.set_num_threads(1)
    config = GPTConfig.model_validate(tiny()["model"])
    tokens = torch.randint(
        0, config.vocab_size, (SEQUENCES, config.context + 1), generator=torch.Generator().manual_seed(1)
    )
    shards = tokens.split(SEQUENCES // SHARDS)
    optim = OptimConfig(peak_lr=1e-3)
    models = []
    for _ in range(2):
        model = GPT(config)
        init_weights(model, 1)
        models.append((model, make_adamw(model, optim)))
    plain, plain_optimizer = models[0]
    exact = ExactStep(models[1][0], models[1][1], _loss, SHARDS, 1.0)

    def plain_step() -> None:
        plain_optimizer.zero_grad()
        for shard in shards:
            total, _ = _loss(plain, shard)
            (total / tokens[:, 1:].numel()).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        plain_optimizer.step()

    def exact_step() -> None:
        exact.apply(exact.gradient(lambda g: shards[g], LocalExchange()), 1e-3)

    times: dict[str, list[float]] = {"plain": [], "exact": []}
    for _ in range(ROUNDS):
        for name, step in (("plain", plain_step), ("exact", exact_step)):
            start = time.perf_counter()
            for _ in range(STEPS):
                step()
            times[name].append(time.perf_counter() - start)
    ratios = [p / e for p, e in zip(times["plain"], times["exact"], strict=True)]
    value = round(statistics.median(ratios), 3)
    rate = STEPS * SEQUENCES * config.context / statistics.median(times["exact"])
    what = "speed of the exact step / a plain PyTorch loop (one process)"
    record("exact_step", what, "", value, "at least 0.95", value >= 0.95, runs=[{"ratios": ratios, "tokens_s": rate}])


def _loss(model: torch.nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return next_token_sum(model(batch[:, :-1]), batch[:, 1:])


if __name__ == "__main__":
    main()
