"""A run that meets poison, and one with a rate that is too high, against the clean run: held-out loss at the end.

    firstlight run tiny --until tokens --out RUN
    BENCH_RUN=RUN python -m benchmarks.guard

Poison is a stretch of batches whose tokens are drawn evenly from the vocabulary; the rate is swapped to a hundred times
its value at three tenths of the tokens. Each is trained without the guard too: what it saves is told beside. The
default guard on the clean run must change nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.claim import finished_run, record
from models import checkpoint
from pipeline.pretrain.course import guard_events
from pipeline.pretrain.language import LanguageTask, heldout_windows, make_task
from pipeline.pretrain.loop import Trainee, train_local
from pipeline.stage import StageFolder

TOKENS, SEQUENCES, SHARDS, WINDOWS, SEED = 800_000, 8, 4, 64, 1
SHAPE = {"vocab_size": 4096, "context": 128, "layers": 2, "width": 64, "heads": 2, "hidden": 176}
OPTIM = {"peak_lr": 3e-3, "warmup_fraction": 0.03, "decay_fraction": 0.6, "final_lr_fraction": 0.02}
POISON = range(250, 262)
TOO_HIGH = {"at": 0.3, "set": {"optim.peak_lr": 100 * OPTIM["peak_lr"]}}
OFF: dict[str, Any] = {"policy": "off"}
BACK: dict[str, Any] = {"policy": "rollback", "back": 10, "batches": 12}
LOWER: dict[str, Any] = {"policy": "rollback+lower", "back": 10, "batches": 0, "factor": 0.02}


def main() -> None:
    """The worse of the healed runs' held-out losses / the clean run's."""
    torch.set_num_threads(1)
    runs = {
        "clean": train(OFF),
        "clean, default guard": train({}),
        "poison, no guard": train(OFF, poison=True),
        "poison, skip": train({}, poison=True),
        "poison, rollback": train(BACK, poison=True),
        "rate x 100, no guard": train(OFF, swaps=[TOO_HIGH]),
        "rate x 100, rollback+lower": train(LOWER, swaps=[TOO_HIGH]),
    }
    clean = runs["clean"]["loss"]
    healed = ("poison, skip", "poison, rollback", "rate x 100, rollback+lower")
    value = round(max(runs[name]["loss"] for name in healed) / clean, 4)
    same = runs["clean"]["digest"] == runs["clean, default guard"]["digest"]
    what = "held-out loss of the runs that healed themselves / of the clean run, the worse"
    record("guard", what, "", value, "at most 1.01, and the clean run untouched", value <= 1.01 and same, runs=[runs])


def train(guard: dict[str, Any], *, poison: bool = False, swaps: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """One run: held-out loss, nats a token, digest of the weights, and what the guard did."""
    task = make_task(
        finished_run(),
        model=SHAPE,
        optim=OPTIM,
        tokens=TOKENS,
        batch=((0.0, SEQUENCES),),
        shards=SHARDS,
        seed=SEED,
        pretrain={"guard": guard, "swaps": swaps},
    )
    if poison:
        poisoned(task)
    trainee = train_local(task)
    digest = checkpoint.digest(trainee.model.state_dict())
    return {"loss": heldout(task, trainee), "digest": digest, "events": guard_events(trainee.history)}


def poisoned(task: LanguageTask) -> None:
    """Put garbage in the place of some batches."""
    clean = task.shard

    def shard(step: int, g: int) -> Tensor:
        batch = clean(step, g)
        draw = torch.Generator().manual_seed(SHARDS * step + g)
        return torch.randint(0, SHAPE["vocab_size"], batch.shape, generator=draw) if step in POISON else batch

    task.shard = shard  # type: ignore[method-assign]


@torch.no_grad()
def heldout(task: LanguageTask, trainee: Trainee) -> float:
    """Nats a token over held-out windows."""
    trainee.model.eval()
    windows = heldout_windows(StageFolder.open(finished_run(), "tokens"), SHAPE["context"], WINDOWS, SEED)
    sums = [task.loss(trainee.model, part) for part in torch.split(windows, 8)]
    return float(sum(s[-1] if len(s) > 2 else s[0] for s in sums)) / float(sum(s[1] for s in sums))


if __name__ == "__main__":
    main()
