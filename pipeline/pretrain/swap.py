"""Hot swaps: what a task becomes by one, and how one is asked for while a run goes on. Knows no torch.

Two doors, one log: ``[[pretrain.swaps]]`` of the recipe, and pieces ``swaps/0000.json`` ... that ``firstlight swap``
adds to a run. Replicas look into that folder before each step. They go in lock-step, so all of them read a swap that
lies far enough ahead before its step. What was made stands in the history: a resumed run replays it from there.
"""

import copy
import json
import math
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cluster.errors import ConfigError, RunDirError
from cluster.storage import LocalStorage
from cluster.telemetry import read_events
from models.config import GPTConfig
from models.optim_config import OptimConfig
from models.schedule import BatchSchedule, Plan
from pipeline import digest
from pipeline.pretrain.swap_config import SwapConfig, check_swaps, section
from pipeline.stage import StageFolder

if TYPE_CHECKING:
    from pipeline.config import RunConfig

LIVE = "swaps/"
MARGIN_STEPS, MARGIN_S = 20, 10.0  # a replica may be behind the newest status by what it does in this time
LOOK_S = 1.0


def swapped(task: Any, values: Mapping[str, Any], position: int) -> Any:
    """A task with other values from a position on: optimiser, shape of the model, or batch. The first task stays."""
    made = copy.copy(task)
    if optim := section(values, "optim"):
        made.optim = OptimConfig.model_validate({**task.optim.model_dump(), **optim})
    if model := section(values, "model"):
        made.model_config = GPTConfig.model_validate({**task.model_config.model_dump(), **model})
    if "batch" in values:
        made.plan = replan(task.plan, position, values["batch"])
        made.steps = made.plan.steps
    return made


def replan(plan: Plan, position: int, size: int) -> Plan:
    """The plan with ``size`` sequences a step from a position on; what lies before stays.

    Its steps are whole: what is left of the budget at the end, less than a batch, is not trained on. A batch that the
    rest of the budget does not fill changes nothing.
    """
    first, old = plan.step(position)[0], plan.total_sequences
    total = first + (old - first) // size * size
    if total == first:
        return plan
    stages = [(round(start * old) / total, n) for start, n in plan.batch.stages if round(start * old) < first]
    return replace(plan, total_sequences=total, batch=BatchSchedule((*stages, (first / total, size))))


def rewarm_steps(old: OptimConfig, new: OptimConfig) -> int:
    """Steps over which the rate rises from zero after a swap: 2 / (1 - beta2) where second moments begin anew, else 0.

    That long an untuned linear warmup is for Adam (Ma and Yarats 2019, arXiv 1910.04209).
    """
    anew = old.kind != new.kind and new.kind in ("adamw", "adafactor", "muon")
    return round(2 / (1 - new.beta2)) if anew else 0


# While a run goes on


def live_swaps(folder: StageFolder, known: Container[str] = ()) -> dict[str, SwapConfig]:
    """The swaps that were asked for while the run went on, by piece, in order; not those that are known."""
    keys = folder.storage.list(folder.key(LIVE.rstrip("/")))  # a handful of files, where .pieces holds thousands
    names = [LIVE + key.rsplit("/", 1)[1] for key in keys]
    return {n: SwapConfig.model_validate(folder.read_json(n)) for n in names if n not in known and folder.done(n)}


def missed(folder: StageFolder, recipe: Sequence[SwapConfig], history: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Swaps whose step or fraction never came, by name, and when they were asked for."""
    asked = {f"recipe/{i}": swap for i, swap in enumerate(recipe)} | live_swaps(folder)
    made = {swap["name"] for line in history for swap in line.get("swaps", ())}
    return {name: swap.at for name, swap in asked.items() if name not in made}


def ask(storage: LocalStorage, config: "RunConfig", at: int, values: dict[str, Any]) -> str:
    """Add a swap to a run that is being pretrained; the key of its piece.

    Raises ConfigError for a swap that cannot be made or comes too late, RunDirError where nothing is being trained.
    """
    folder = _open(storage)
    swap = SwapConfig.model_validate({"at": at, "set": values})
    before = [*config.pretrain.swaps, *live_swaps(folder).values()]
    how = config.pretrain
    check_swaps([*before, swap], config.model, config.optim, how.logical_shards, how.layout, "swap")
    if at >= config.most_steps and not any("batch" in one.set for one in [*before, swap]):
        raise ConfigError("--at", at, f"the run has at most {config.most_steps:,} steps", "Take an earlier one")
    step, rate = _pace(folder)
    margin = max(MARGIN_STEPS, math.ceil(rate * MARGIN_S))
    if at < step + margin:
        rule = f"the run is at step {step:,}, and each replica must have read a swap {margin:,} steps before it"
        raise ConfigError("--at", at, rule, f"Take {step + 2 * margin:,} or later")
    value = swap.model_dump()
    for number in range(10_000):
        piece = f"{LIVE}{number:04d}.json"
        text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        if storage.put_if_absent(folder.key(piece), text.encode()):
            folder.write_bytes(piece, text.encode(), rows=1, logical=digest.of_json(value))
            return folder.key(piece)
    raise RunDirError("RUN", str(storage), "it has 10,000 swaps", "Begin a new run")


def _open(storage: LocalStorage) -> StageFolder:
    """The pretrain stage for writing, under the fingerprint that it runs with."""
    starts = [e for e in read_events(storage) if e["kind"] == "stage_start" and e["stage"] == "pretrain"]
    folder = StageFolder.open(str(storage), "pretrain", starts[-1]["fingerprint"] if starts else None)
    if not starts or folder.manifest() or not _steps(folder):
        rule = "its pretraining has not begun, or has ended"
        raise RunDirError("RUN", str(storage), rule, "Give the swap in the recipe: [[pretrain.swaps]]")
    return folder


def _steps(folder: StageFolder) -> list[int]:
    """The step of each replica, as it last said."""
    keys = folder.storage.list(folder.key("timing"))
    return [json.loads(folder.storage.get(key))["step"] for key in keys if "/replica-" in key]


def _pace(folder: StageFolder) -> tuple[int, float]:
    """The newest step that a replica tells of, and steps a second."""
    first, start = max(_steps(folder)), time.monotonic()
    time.sleep(LOOK_S)
    step = max(_steps(folder))
    return step, (step - first) / (time.monotonic() - start)
