"""Layouts of two workers of one thread: what the plan says of traffic and memory beside what is measured, and the speed
of each, interleaved."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.claim import record
from models.config import GPTConfig
from models.layout_config import Layout
from models.optim_config import OptimConfig
from models.parallel.costs import memory, traffic
from models.parallel.measure import Sent, kept
from models.parallel.mesh import make_place
from models.parallel.run import Replica, build
from models.parallel.step import LayoutStep, Pair
from models.step import LocalExchange

ROUNDS, WORKERS, ROWS, SHARDS = 5, 2, 16, 1
SHAPE: dict[str, Any] = {"vocab_size": 2048, "context": 128, "layers": 4, "width": 192, "heads": 6, "hidden": 512}
LAYOUTS: dict[str, dict[str, Any]] = {
    "fsdp": {"fsdp": 2},
    "tensor": {"tensor": 2},
    "tensor + sequence": {"tensor": 2, "sequence": True},
    "pipeline": {"pipeline": 2, "micro_batches": 8},
    "expert": {"expert": 2},
}
OPTIM = OptimConfig(peak_lr=1e-3)


def main() -> None:
    """The largest relative difference between the plan's bytes and those measured."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_worker, (folder,), nprocs=WORKERS)  # type: ignore[no-untyped-call]
        runs = torch.load(Path(folder, "runs"), weights_only=False)
    value = round(max(run["traffic"]["off"] for run in runs), 4)
    what = "traffic of a layout: largest difference, plan / measured - 1"
    record("layouts", what, "", value, "at most 0.05", value <= 0.05, runs=runs)


def config(name: str) -> GPTConfig:
    """The model of a layout."""
    return GPTConfig.model_validate({**SHAPE, **({"experts": {"count": 4}} if name == "expert" else {})})


def batch(turn: int) -> Pair:
    """One logical shard."""
    tokens = torch.randint(0, SHAPE["vocab_size"], (ROWS, 129), generator=torch.Generator().manual_seed(turn))
    return tokens[:, :-1], tokens[:, 1:]


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORKERS)
    steps = {name: _step(name, Layout(**how)) for name, how in LAYOUTS.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(ROUNDS + 1):
        for name, (_, step) in steps.items():
            dist.barrier()
            start = time.perf_counter()
            step.apply(step.gradient(lambda g, turn=turn: batch(turn), LocalExchange()), 1e-3)  # type: ignore[misc]
            dist.barrier()
            if turn:
                times[name].append(time.perf_counter() - start)
    found = [_measured(name, *steps[name]) for name in steps]
    if rank == 0:
        for run in found:
            run["tokens_s"] = round(ROWS * SHAPE["context"] / statistics.median(times[run["layout"]]))
        torch.save(found, Path(folder, "runs"))
    dist.destroy_process_group()


def _step(name: str, layout: Layout) -> tuple[Replica, LayoutStep[Pair]]:
    layout.check(config(name), ROWS)
    replica = build(config(name), make_place(layout), 1)
    return replica, LayoutStep(replica, replica.make_optimizer(OPTIM), lambda pair: pair, SHARDS, 1.0)


def _measured(name: str, replica: Replica, step: LayoutStep[Pair]) -> dict[str, Any]:
    """Plan and measurement of the first worker, in bytes."""
    layout = replica.place.layout
    with Sent() as sent:
        step.gradient(lambda g: batch(0), LocalExchange())
    seat = layout.seat(0)
    plan = memory(config(name), layout, seat, ROWS)
    found = {"traffic": (sum(traffic(config(name), layout, seat, ROWS, SHARDS).values()), sent.bytes)}
    states = step.optimizer.state.values()
    found["moments"] = (plan["moments"], sum(t.nbytes for state in states for t in state.values() if t.ndim))
    found["weights"] = (plan["weights"], sum(part.mine.nbytes for part in replica.parts.values()))
    if layout.pipeline == 1:
        inputs, targets = batch(0)
        with kept(replica) as sizes:
            replica.train(inputs[: ROWS // layout.data], targets[: ROWS // layout.data])
        found["activations"] = (plan["activations"], sum(sizes))
    return {"layout": name} | {
        what: {"plan": round(says), "measured": round(is_), "off": round(abs(says / is_ - 1), 4)}
        for what, (says, is_) in found.items()
    }


if __name__ == "__main__":
    main()
