"""Search over any trial callable on Ray Tune, rung by rung. Knows no pipeline and no model.

Ray Tune places the trials, retries those whose process died and limits how many run at once. Which trials go on is
decided by tune.halving once a rung is complete: a scheduler that decides as results come in depends on timing.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune import Callback, FailureConfig, RunConfig, TuneConfig, Tuner, grid_search, with_resources
from ray.tune import report as report_to_tune

from tune.halving import survivors
from tune.space import Trial

RunTrial = Callable[[Trial, int, int], float]
"""(trial, rung, budget) -> loss. A pure function of its arguments; it may keep what it made and answer at once."""

os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C must stop us, not shorten a rung

RETRIES = 3  # of a trial whose process died


@dataclass(frozen=True)
class Rung:
    """One finished rung: the loss of each of its trials, and who goes on."""

    budget: int
    losses: dict[int, float]
    survivors: list[int]


class _Told(Callback):
    """Tells the caller of each finished trial."""

    def __init__(self, told: Callable[[int, float], None]) -> None:
        self._told = told

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray Tune keeps a copy of its run config; a terminal does not travel

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._told(trial.config["trial"]["id"], float(trial.last_result.get("loss", math.nan)))


def successive_halving(
    run_trial: RunTrial,
    trials: Sequence[Trial],
    budgets: Sequence[int],
    *,
    reduction: int,
    concurrent: int,
    scratch: str,
    cpus: float = 1.0,
    retries: int = RETRIES,
    told: Callable[[int, int, float], None] = lambda rung, trial, loss: None,
) -> list[Rung]:
    """Run every rung; ``scratch`` is a folder for Ray Tune's own files. The best trial is the last rung's survivor.

    Raises RuntimeError with the first failure where a trial raised.
    """
    rungs: list[Rung] = []
    alive = list(trials)
    for number, budget in enumerate(budgets):

        def objective(config: dict[str, Any], number: int = number, budget: int = budget) -> None:
            point = config["trial"]
            report_to_tune({"loss": run_trial(Trial(point["id"], point["values"]), number, budget)})

        def tell(trial: int, loss: float, number: int = number) -> None:
            told(number, trial, loss)

        points = [{"id": t.id, "values": dict(t.values)} for t in alive]
        tuner = Tuner(
            with_resources(objective, {"CPU": cpus}),
            param_space={"trial": grid_search(points)},
            tune_config=TuneConfig(metric="loss", mode="min", max_concurrent_trials=concurrent, reuse_actors=True),
            run_config=RunConfig(
                name=f"rung{number}",
                storage_path=scratch,
                verbose=0,
                failure_config=FailureConfig(max_failures=retries),
                callbacks=[_Told(tell)],
            ),
        )
        results = tuner.fit()
        if results.errors:
            raise RuntimeError(f"a trial of rung {number} failed: {results.errors[0]}") from results.errors[0]
        losses = {
            r.config["trial"]["id"]: r.metrics["loss"]
            for r in map(results.__getitem__, range(len(results)))
            if r.config and r.metrics
        }
        assert sorted(losses) == [t.id for t in alive], "a rung is decided when all of its trials have reported"
        keep = survivors(losses, reduction if number < len(budgets) - 1 else len(losses))
        rungs.append(Rung(budget, dict(sorted(losses.items())), keep))
        alive = [t for t in alive if t.id in keep]
    return rungs
