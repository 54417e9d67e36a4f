"""The plan beside the run: parameters, FLOPs, time and memory, predicted and measured, and their ratio. Knows no stage.

Parameters are counted in the weights that stand, tokens in the steps that were made. FLOPs cannot be measured: they are
the trained tokens times the plan's FLOPs a token, unless a stage counts its own.
"""

import math
from collections.abc import Callable
from typing import Any

from pipeline import figures
from pipeline.sections import Cell, Table
from pipeline.stage import StageFolder
from pipeline.views.document import Group

Manifest = dict[str, Any]
NOTE = (
    "Sums are over the stages that have both figures. FLOPs are the tokens that were trained times the plan's FLOPs a"
    " token. The plan was made before these stages; memory is the sum over all processes."
)


def predicted_and_measured(plan: dict[str, Any], run: str, manifests: dict[str, Manifest]) -> list[Group]:
    """Whole-run figures, then one line a stage; nothing where no plan was kept. `manifests` is {} where absent."""
    if not plan:
        return []
    done = {name: manifest for name, manifest in manifests.items() if manifest}
    flops = {name: f for name, m in done.items() if (f := _flops(plan, StageFolder.open(run, name), m)) is not None}
    seconds = {name: s for name, m in done.items() if (s := m["observed"].get("seconds")) is not None}
    sizes = (_parameters(StageFolder.open(run, name)) for name in done)
    parameters = next((size for size in sizes if size is not None), None)
    peak = max((m["observed"].get("peak_memory_bytes") or 0 for m in done.values()), default=0) or None
    rows: list[list[Cell]] = [
        ["parameters", *_pair(figures.cell, plan["parameters"], parameters)],
        ["FLOPs", *_pair(figures.flops, *_shared(plan["flops"], flops))],
        ["time", *_pair(figures.seconds, *_shared(plan["seconds"], seconds))],
        ["peak memory", *_pair(figures.size, plan.get("memory_bytes"), peak)],
    ]
    lines: list[list[Cell]] = []
    for name in [n for n in manifests if n in plan["seconds"] or n in plan["flops"]]:
        counted, took = flops.get(name), seconds.get(name)
        rate = f"{figures.flops(counted / took)}/s" if counted and took else None
        work = [_or_dash(figures.flops, plan["flops"].get(name)), _or_dash(figures.flops, counted)]
        lines.append([name, *work, *_pair(figures.seconds, plan["seconds"].get(name), took), rate])
    columns = ["stage", "FLOPs predicted", "FLOPs", "time predicted", "time", "ratio of times", "rate"]
    tables = [
        Table("", ["", "predicted", "measured", "measured / predicted"], rows, NOTE),
        Table("By stage", columns, lines),
    ]
    return [Group("Predicted beside measured", tables)]


def _parameters(folder: StageFolder) -> int | None:
    """The trained numbers in the stage's weights, where it keeps some."""
    if not folder.done("model/manifest.json"):
        return None
    tensors = folder.read_json("model/manifest.json")["tensors"]
    return sum(int(math.prod(tensor["shape"])) for tensor in tensors)


def _flops(plan: dict[str, Any], folder: StageFolder, manifest: Manifest) -> float | None:
    counted = manifest["content"]["counts"].get("flops")
    if counted is not None:
        return float(counted)
    planned, tokens = plan["flops"].get(folder.stage), plan.get("tokens", {}).get(folder.stage)
    if not planned or not tokens or not folder.done("metrics/steps.jsonl"):
        return None
    steps = folder.read_jsonl("metrics/steps.jsonl")
    return float(planned * steps[-1]["tokens"] / tokens) if steps and "tokens" in steps[-1] else None


def _shared(planned: dict[str, float], measured: dict[str, float]) -> tuple[float | None, float | None]:
    """Both sums over the stages that have both figures."""
    both = [name for name in planned if name in measured]
    if not both:
        return None, None
    return sum(planned[name] for name in both), sum(measured[name] for name in both)


def _pair(say: Callable[[Any], str], predicted: float | None, measured: float | None) -> list[Cell]:
    return [_or_dash(say, predicted), _or_dash(say, measured), figures.ratio(predicted, measured)]


def _or_dash(say: Callable[[Any], str], value: float | None) -> str | None:
    return None if value is None else say(value)
