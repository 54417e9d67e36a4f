"""What a run will take, before it begins: parameters, tokens, steps, FLOPs, memory and time.

`make_plan` is arithmetic on the config; `measure_rate` is the one probe of the machine. The report prints the plan
beside what was measured.
"""

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cluster.errors import ConfigError
from models.parts import part
from pipeline import digest, figures
from pipeline.config import RunConfig, check_dialogues
from pipeline.recipes import presets
from pipeline.sections import Cell, Table
from pipeline.views import costs

DEFAULT_RATE = 6e10  # FLOP/s of one thread of a recent x86 core in float32: 120 GFLOP/s measured on two
WORKER_NOTE = "Memory has the process in it; copies are sums of gradients and what checkpoints and rollbacks need."

# L = E + A / N^ALPHA + B / D^BETA; A, B, ALPHA, BETA as refitted by Besiroglu and others, arXiv 2404.10102
A, B, ALPHA, BETA = 482.01, 2085.43, 0.3478, 0.3658


@dataclass(frozen=True)
class Plan:
    """A prediction. Dictionaries go by stage name but `memory` (a replica's parts) and `peaks` (by heaviest stage)."""

    config: str  # sha256 of the config that it is of
    threads: int  # of a process, whose rate it rests on
    parameters: int
    active_parameters: int
    tokens: dict[str, int]
    steps: dict[str, int]
    flops: dict[str, float]
    seconds: dict[str, float]
    memory: dict[str, float]
    replicas: int
    peaks: dict[str, float]
    rate_flops: float
    measured_rate: bool
    notes: list[str]
    workers: dict[str, dict[str, float]] = field(default_factory=dict)  # of a replica's layout, bytes by what they are

    @property
    def memory_bytes(self) -> float:
        """Peak of all processes together."""
        return max(self.peaks.values())

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `plan.json` keeps it."""
        return {**asdict(self), "memory_bytes": self.memory_bytes}


def make_plan(config: RunConfig, rate: float | None) -> Plan:
    """Predict a run. `rate` is the FLOP/s of one process of `pretrain.threads` threads; None takes a stated default."""
    used = rate or DEFAULT_RATE * config.pretrain.threads
    found = costs.stage_costs(config, used)
    return Plan(
        config=config_digest(config),
        threads=config.pretrain.threads,
        parameters=config.model.parameters(),
        active_parameters=config.model.active_parameters(),
        tokens={name: cost.tokens for name, cost in found.items() if cost.tokens},
        steps={name: cost.steps for name, cost in found.items() if cost.steps},
        flops={name: cost.flops for name, cost in found.items() if cost.flops},
        seconds={name: round(cost.seconds, 1) for name, cost in found.items()},
        memory=costs.replica_memory(config),
        replicas=config.pretrain.replicas,
        peaks=costs.peak_memory(config),
        rate_flops=used,
        measured_rate=rate is not None,
        notes=_notes(config, found["pretrain"], used, rate is not None),
        workers=_workers(config),
    )


def config_digest(config: RunConfig) -> str:
    """Of which config a plan is."""
    return digest.of_json(config.model_dump(mode="json"))


def standing(plan: Plan, kept: dict[str, Any], stages: Collection[str]) -> Plan:
    """The plan with what `kept`, the plan before it, predicted of stages that are not made again.

    What was measured of them was measured under that one: fields that change no result, such as the number of replicas,
    and a rate of other threads would move the prediction alone.
    """
    found: dict[str, Any] = {}
    for name in ("tokens", "steps", "flops", "seconds", "peaks"):
        now, was = getattr(plan, name), kept[name]
        from_where = {stage: was if stage in stages and stage in kept["seconds"] else now for stage in plan.seconds}
        found[name] = {stage: sizes[stage] for stage, sizes in from_where.items() if stage in sizes}
    if "pretrain" in stages:
        found |= {name: kept[name] for name in ("memory", "replicas", "workers")}
    note = f"What is told of {', '.join(stages)} is of an earlier plan, as they stand."
    return replace(plan, **found, notes=[*plan.notes, note] if stages else plan.notes)


def _workers(config: RunConfig) -> dict[str, dict[str, float]]:
    """Memory of each worker of a replica, and what it sends in a step; none where a replica is one process."""
    pretrain, bytes_of = config.pretrain, part("parallel", "costs")
    layout = pretrain.layout.model_copy(update={"replicas": pretrain.replicas})
    rows = config.shard_windows
    shards = -(-pretrain.logical_shards // pretrain.replicas)
    found = {}
    for rank in range(layout.workers if layout.workers > 1 else 0):
        seat = layout.seat(rank)
        by_axis = bytes_of.traffic(config.model, layout, seat, rows, shards, optimizer=config.optim.kind)
        held = costs.worker_memory(config, layout, seat)
        found[str(rank)] = {**held, "memory": sum(held.values()), "sent a step": sum(by_axis.values())}
    return found


def compute_optimal(flops: float) -> tuple[float, float]:
    """(parameters N, tokens D) with the least predicted loss at C = 6 N D (arXiv 2203.15556, equation 4).

    The constants are the refit of arXiv 2404.10102; those of the first paper contradict its own tables.
    """
    g = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    share = BETA / (ALPHA + BETA)
    return g * (flops / 6) ** share, (flops / 6) ** (1 - share) / g


def measure_rate(threads: int) -> float:
    """FLOP/s of the products that training makes, forward and backward of one layer, in about 0.3 s of work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(1024, 256, generator=generator)
        weights = torch.randn(256, 1024, generator=generator)
        outputs = inputs @ weights  # the first products start the library's threads
        best = 0.0
        for _ in range(6):
            start = time.perf_counter()
            for _ in range(8):
                torch.mm(inputs, weights, out=outputs)
                inputs.T @ outputs
                outputs @ weights.T
            best = max(best, 8 * 3 * 2.0 * inputs.shape[0] * weights.numel() / (time.perf_counter() - start))
        return best
    finally:
        torch.set_num_threads(before)


def tables(plan: Plan) -> list[Table]:
    """The plan for people, each table at most 80 columns wide."""
    rows: list[list[Cell]] = []
    for name, seconds in plan.seconds.items():
        flops = plan.flops.get(name)
        said = figures.flops(flops) if flops else None
        rows.append([name, plan.tokens.get(name), plan.steps.get(name), said, figures.seconds(seconds)])
    rows.append(
        ["all", None, None, figures.flops(sum(plan.flops.values())), figures.seconds(sum(plan.seconds.values()))]
    )
    parts: list[list[Cell]] = [[name, figures.size(size)] for name, size in plan.memory.items()]
    parts.append(["one replica", figures.size(sum(plan.memory.values()))])
    peaks: list[list[Cell]] = [[name, figures.size(size)] for name, size in plan.peaks.items()]
    of_workers: list[list[Cell]] = [[rank, *_worker(sizes).values()] for rank, sizes in plan.workers.items()]
    active = "" if plan.active_parameters == plan.parameters else f", {plan.active_parameters:,} of them for one token"
    return [
        Table(f"{plan.parameters:,} parameters{active}", ["stage", "tokens", "steps", "FLOPs", "time"], rows),
        Table("Memory of one pretraining replica", ["for", "bytes"], parts, f"{plan.replicas} replicas share a step."),
        Table("Peak memory of all processes", ["stage", "bytes"], peaks),
        *(
            Table("Workers of a replica", ["worker", *_worker(sizes)], of_workers, WORKER_NOTE)
            for sizes in [*plan.workers.values()][:1]
        ),
    ]


def _worker(sizes: dict[str, float]) -> dict[str, str]:
    """A worker's columns."""
    columns = {
        "state": ("weights", "gradients", "moments"),
        "gathered": ("gathered",),
        "activations": ("activations",),
        "copies": ("gradient sums", "checkpoint copy", "guard's states"),
        "memory": ("memory",),
        "sent a step": ("sent a step",),
    }
    return {title: figures.size(sum(sizes.get(name, 0.0) for name in names)) for title, names in columns.items()}


def print_plan(plan: Plan) -> None:
    """Print the plan on standard output."""
    from pipeline.views import terminal

    out = terminal.console()
    for table in tables(plan):
        terminal.print_table(table, out)
        out.print()
    for note in plan.notes:
        out.print(f"- {note}")


def _notes(config: RunConfig, pretrain: costs.Cost, rate: float, measured: bool) -> list[str]:
    parameters = config.model.active_parameters()
    each = f"{figures.short(pretrain.tokens / parameters)} tokens a{'n active' * bool(config.model.experts.count)}"
    best_n, best_d = compute_optimal(pretrain.flops)
    how = "measured here" if measured else "assumed, not measured"
    notes = [
        f"Times rest on {figures.flops(rate)}/s a process, threads {config.pretrain.threads}, {how}."
        f"{' The search may choose another batch schedule, and so another number of steps.' * config.search.enabled}"
        f" Starting Ray adds about {costs.RAY_START_S:.0f} s.",
        f"{each} parameter. For these FLOPs the fit of arXiv 2404.10102 would take"
        f" {figures.short(best_n)} parameters and {figures.short(best_d)} tokens ({best_d / best_n:.3g} a parameter);"
        " it was fitted from 1e18 FLOPs up, so read it as a direction.",
    ]
    if config.recipe in presets():
        notes.append(presets()[config.recipe].CARD.replace("\n", " "))
    unknown = [source.name for source in config.corpus.sources if source.path]
    if unknown:
        notes.append(f"Time to read {', '.join(unknown)} is not in it: a path's size is not known before it is read.")
    try:
        check_dialogues(config)
    except ConfigError as error:
        notes.append(f"It would be refused: {error}")
    return notes
