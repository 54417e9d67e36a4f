"""The elastic step of 2 replicas beside torchrun + DistributedDataParallel of 2 processes, interleaved.

torchrun starts the processes, in which both kinds of step take turns: DDP's process group is the one of torchrun's
environment, with the one thread each that it sets. Ours is the shipped one: quorum, exact sum over gloo, commit vote,
status; without Ray, which is not in a step's path.
DDP is given the better of two: micro-batches as ours with one all-reduce, or a process's whole share at once.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from benchmarks import loops
from benchmarks.claim import record
from models.config import GPTConfig
from pipeline.pretrain import elastic, objective
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.loop import Trainee
from pipeline.pretrain.watch import Status
from pipeline.stage import StageFolder

ROUNDS, EACH, SEQUENCES, SHARDS, WORLD = 9, 3, 16, 4, 2
TIMES = "times.json"
SHAPES = {"tiny": loops.TINY, "6 M": loops.SIX_MILLION}


def main() -> None:
    """The least ratio over the models."""
    found = {name: compare(name) for name in SHAPES}
    value = min(float(one["ratio"]) for one in found.values())
    what = "tokens/s of the exact step, 2 replicas / DistributedDataParallel, 2 processes"
    record("ddp", what, "", value, "at least 0.95", value >= 0.95, runs=[found], peers={"torch": torch.__version__})


def compare(name: str) -> dict[str, Any]:
    """Both in the same two processes, in turn."""
    from torchft.coordination import LighthouseServer

    lighthouse = LighthouseServer(bind="[::]:0", min_replicas=WORLD, join_timeout_ms=1000)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={WORLD}"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "benchmarks.ddp", name, lighthouse.address(), folder]
        subprocess.run([*torchrun, *arguments], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        times: dict[str, list[float]] = json.loads(Path(folder, TIMES).read_text())
    lighthouse.shutdown()
    ratios = {peer: loops.ratio(times, peer, "ours") for peer in times if peer != "ours"}
    rate = EACH * SEQUENCES * SHAPES[name].context / min(times["ours"])
    return {"ratio": min(ratios.values()), **ratios, "tokens_s": round(rate)}


def member(name: str, lighthouse: str, folder: str) -> None:
    """One of the two processes; the first writes the times."""
    dist.init_process_group("gloo")
    rank, shape = dist.get_rank(), SHAPES[name]
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
        Path(folder, TIMES).write_text(json.dumps(times))
    manager.shutdown(wait=False)
    dist.destroy_process_group()
    os._exit(0)  # torchft's threads do not end by themselves, and torchrun waits for both


def wrapped(shape: GPTConfig) -> nn.Module:
    """The same model under DDP."""
    model = objective.build(shape, PretrainConfig(), 1).train()
    return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False)


if __name__ == "__main__":
    member(*sys.argv[1:]) if sys.argv[1:] else main()  # torchrun gives a member its arguments
