"""The elastic step of 2 replicas beside DistributedDataParallel of 2 processes, one thread each, interleaved.

Ours is the shipped one: quorum, exact sum over gloo, commit vote, status; without Ray, which is not in a step's path.
DDP is given the better of two: micro-batches as ours with one all-reduce, or a process's whole share at once.
"""

import os
import tempfile
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing, nn

from benchmarks import loops
from benchmarks.claim import record
from models.config import GPTConfig
from pipeline.pretrain import elastic, objective
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.loop import Trainee
from pipeline.pretrain.watch import Status
from pipeline.stage import StageFolder

ROUNDS, EACH, SEQUENCES, SHARDS, WORLD = 9, 3, 16, 4, 2
SHAPES = {"tiny": loops.TINY, "6 M": loops.SIX_MILLION}


def main() -> None:
    """The least ratio over the models."""
    found = {name: compare(shape) for name, shape in SHAPES.items()}
    value = min(float(one["ratio"]) for one in found.values())
    what = "tokens/s of the exact step, 2 replicas / DistributedDataParallel, 2 processes"
    record("ddp", what, "", value, "at least 0.95", value >= 0.95, runs=[found], peers={"torch": torch.__version__})


def compare(shape: GPTConfig) -> dict[str, Any]:
    """Both in the same two processes, in turn."""
    from torchft.coordination import LighthouseServer

    lighthouse = LighthouseServer(bind="[::]:0", min_replicas=WORLD, join_timeout_ms=1000)
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        args = (shape, lighthouse.address(), folder, answers)
        multiprocessing.spawn(member, args, WORLD)  # type: ignore[no-untyped-call]
    lighthouse.shutdown()
    times: dict[str, list[float]] = answers.get()
    ratios = {name: loops.ratio(times, name, "ours") for name in times if name != "ours"}
    rate = EACH * SEQUENCES * shape.context / min(times["ours"])
    return {"ratio": min(ratios.values()), **ratios, "tokens_s": round(rate)}


def member(rank: int, shape: GPTConfig, lighthouse: str, folder: str, answers: Any) -> None:
    """One of the two processes; the first tells the times."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=WORLD)
    task = loops.Rows(shape, loops.rows(shape, SEQUENCES), SHARDS, (ROUNDS + 1) * EACH)
    own = task.batch.chunk(WORLD)[rank]
    trainee = Trainee.new(task)
    status = Status(StageFolder.open(folder, "pretrain", "f"), rank)
    manager, group = elastic.join(trainee, {"lighthouse": lighthouse, "stage": "pretrain", "replica": rank})
    steps = {
        "micro-batches": loops.bare_step(wrapped(shape), own.split(SEQUENCES // SHARDS)),
        "whole share": loops.bare_step(wrapped(shape), [own]),
        "ours": lambda: elastic._step(trainee, manager, group, status),
    }
    times = loops.interleaved(steps, ROUNDS, EACH, dist.barrier)
    assert trainee.done and not status.redone, f"rank {rank}: {status.redone} steps were redone"
    dist.barrier()
    if rank == 0:
        answers.put(times)
    manager.shutdown(wait=False)
    dist.destroy_process_group()
    os._exit(0)  # torchft's threads do not end by themselves


def wrapped(shape: GPTConfig) -> nn.Module:
    """The same model under DDP."""
    model = objective.build(shape, PretrainConfig(), 1).train()
    return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False)


if __name__ == "__main__":
    main()
