"""The search stage on Ray Tune: trials where there is room, decisions rung by rung."""

import math

from cluster.errors import UserError
from pipeline.search.trial import piece, run_trial, space
from pipeline.stage import StageContext
from tune.halving import rung_sizes
from tune.search import successive_halving
from tune.space import Trial

CHOICE = "best.json"


def run(ctx: StageContext) -> None:
    """Leave ``best.json`` (peak_lr, batch, and who was beaten) and every trial under ``trials/``."""
    config, search, folder = ctx.config, ctx.config.search, ctx.folder
    if not search.enabled:
        folder.write_json(CHOICE, {"peak_lr": None, "batch": None, "trial": None, "rungs": []})
        ctx.count(trials=0)
        return
    trials = space(config)

    def one(trial: Trial, rung: int, budget: int) -> float:
        return run_trial(folder, config, trial, rung, budget)

    scratch = str(folder.storage.path(folder.key("tune")))
    folder.storage.delete_folder(folder.key("tune"))  # what a killed driver left
    sizes = rung_sizes(len(trials), len(search.rungs), search.reduction)
    planned = sum(size * budget for size, budget in zip(sizes, search.rungs, strict=True))
    with ctx.progress("search", planned, "tokens") as bar:
        rungs = successive_halving(
            one,
            trials,
            search.rungs,
            reduction=search.reduction,
            concurrent=search.concurrent,
            scratch=scratch,
            told=lambda rung, trial, loss: bar.advance(search.rungs[rung], trial=trial, loss=loss),
        )
    folder.storage.delete_folder(folder.key("tune"))
    best = rungs[-1].survivors[0]
    if not math.isfinite(rungs[-1].losses[best]):
        rule = "no trial ended with a finite loss"
        raise UserError("search.peak_lrs", search.peak_lrs, rule, "Try smaller peak learning rates")
    values = folder.read_json(piece(best, len(rungs) - 1))
    told = [
        {"tokens": r.budget, "losses": {str(i): loss for i, loss in r.losses.items()}, "survivors": r.survivors}
        for r in rungs
    ]
    chosen = {"peak_lr": values["peak_lr"], "batch": values["batch"], "trial": best, "rungs": told}
    folder.write_json(CHOICE, chosen)
    ctx.count(trials=len(trials), best=best, peak_lr=values["peak_lr"])
