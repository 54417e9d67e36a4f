"""One trial of the search: a short, whole training run on a proxy budget, scored on held-out windows. Knows no Ray."""

import math
from typing import Any

import torch

from models.optim_config import OptimConfig
from pipeline.config import RunConfig
from pipeline.pretrain.config import IN_TRIALS
from pipeline.pretrain.language import heldout_windows, make_task
from pipeline.pretrain.loop import train_local
from pipeline.stage import StageFolder
from tune.space import Trial, grid

SCORE_WINDOWS = 8  # windows of one forward pass


def space(config: RunConfig) -> list[Trial]:
    """Peak learning rate x batch schedule."""
    return grid({"peak_lr": config.search.peak_lrs, "batch": config.search.batches})


def piece(trial: int, rung: int) -> str:
    return f"trials/rung{rung}-{trial:03d}.json"


def run_trial(folder: StageFolder, config: RunConfig, trial: Trial, rung: int, budget: int) -> float:
    """Train from scratch over a whole schedule of ``budget`` tokens; keep and return the held-out loss (nats a token).

    A trial that stands is not run again.
    """
    name = piece(trial.id, rung)
    if not folder.done(name):
        folder.write_json(name, _train(folder, config, trial, rung, budget))
    loss = folder.read_json(name)["loss"]
    return math.nan if loss is None else float(loss)


def _train(folder: StageFolder, config: RunConfig, trial: Trial, rung: int, budget: int) -> dict[str, Any]:
    torch.set_num_threads(config.search.threads)
    optim = OptimConfig.model_validate({**config.optim.model_dump(), "peak_lr": trial.values["peak_lr"]})
    task = make_task(
        folder.run,
        model=config.model.model_dump(),
        optim=optim.model_dump(),
        tokens=budget,
        batch=trial.values["batch"],
        shards=config.pretrain.logical_shards,
        seed=config.seed,
        whole=config.pretrain.tokens,
        # no guard: a rate that is too high must look as bad as it is
        pretrain={n: value for n, value in config.pretrain if n in IN_TRIALS} | {"guard": {"policy": "off"}},
    )
    trainee = train_local(task)
    trainee.model.eval()
    tokens = StageFolder.open(folder.run, "tokens")
    windows = heldout_windows(tokens, config.model.context, config.search.windows, config.seed)
    loss = weight = 0.0
    with torch.no_grad():
        for part in torch.split(windows, SCORE_WINDOWS):
            got, count, *_ = task.loss(trainee.model, part)
            loss, weight = loss + float(got), weight + float(count)
    final = loss / weight
    return {
        "trial": trial.id,
        "rung": rung,
        "peak_lr": trial.values["peak_lr"],
        "batch": trial.values["batch"],
        "tokens": task.tokens(task.steps),
        "steps": task.steps,
        "loss": final if math.isfinite(final) else None,
        "curve": [[line["tokens"], round(line["loss"], 4)] for line in trainee.history if math.isfinite(line["loss"])],
    }
