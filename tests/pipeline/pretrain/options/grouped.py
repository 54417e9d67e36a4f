"""A language task without text, and replicas of several workers as bare processes, started again when they die."""

import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from models.config import GPTConfig
from models.layout_config import Layout
from models.optim_config import OptimConfig
from models.schedule import whole_plan
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.options import group

ROWS = 4
SHAPE = {"vocab_size": 61, "context": 16, "layers": 2, "width": 16, "heads": 2, "hidden": 24}


class Task:
    """Rows of a fixed stream of numbers. From step 8 on it goes slowly until the file `slow_until` is there."""

    seed = 1

    def __init__(self, steps: int, shards: int, slow_until: str, fails_at: int, fails_in: int) -> None:
        self.model_config, self.optim = GPTConfig.model_validate(SHAPE), OptimConfig(kind="muon", peak_lr=1e-2)
        self.how = PretrainConfig()
        self.plan = whole_plan(steps * shards * ROWS * 16, 16, ((0.0, shards * ROWS),))
        self.steps, self.shards, self._slow_until = steps, shards, slow_until
        self._fails_at, self._fails_in = fails_at, fails_in
        assert self.plan.steps == steps

    def shard(self, step: int, g: int) -> Tensor:
        if step == self._fails_at and self._fails_in in (-1, dist.get_rank()):
            raise ValueError("no such batch")
        if self._slow_until and step >= 8 and not Path(self._slow_until).exists():
            time.sleep(0.3)
        return torch.randint(0, 61, (ROWS, 17), generator=torch.Generator().manual_seed(1000 * step + g))

    def pair(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        return batch[:, :-1], batch[:, 1:]

    def key(self, step: int, g: int) -> int:
        return 1000 * step + g

    def probe(self, step: int, g: int) -> Tensor | None:
        return self.shard(7, g)[:1] if step % 5 == 0 else None

    def fraction(self, step: int) -> float:
        return self.plan.step(step)[2]

    def tokens(self, step: int) -> int:
        return step * self.shards * ROWS * 16

    def flops(self, step: int) -> float:
        return 1e6

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": self.model_config.model_dump()}


def make_task(
    run: str, *, steps: int, shards: int, slow_until: str = "", fails_at: int = -1, fails_in: int = -1
) -> Task:
    return Task(steps, shards, slow_until, fails_at, fails_in)


def run_groups(layout: Layout, common: dict[str, Any], poke: Callable[[], None], seconds: float = 100) -> int:
    """Run replicas to their end; how many processes were started beside the first ones."""
    from torch._C._distributed_c10d import TCPStore
    from torchft.coordination import LighthouseServer

    lighthouse = LighthouseServer(bind="[::]:0", min_replicas=1, join_timeout_ms=1000, heartbeat_timeout_ms=2000)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    config = {**common, "lighthouse": lighthouse.address(), "meeting": f"127.0.0.1:{store.port}"}
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    seats = [(replica, worker) for replica in range(layout.replicas) for worker in range(layout.workers)]
    alive: dict[tuple[int, int], BaseProcess] = {}
    again, done, end = -len(seats), set[tuple[int, int]](), time.monotonic() + seconds
    try:
        while len(done) < len(seats):
            assert time.monotonic() < end, f"only {sorted(done)} came to an end"
            for seat in set(seats) - done:
                process = alive.get(seat)
                if process is not None and process.exitcode == 0:
                    done.add(seat)
                elif process is None or process.exitcode is not None:
                    own = {**config, "layout": layout.model_dump(), "replica": seat[0], "worker": seat[1]}
                    alive[seat] = context.Process(target=_run, args=(own,))
                    alive[seat].start()
                    again += 1
            poke()
            time.sleep(0.05)
    finally:
        for process in alive.values():
            process.kill()
        lighthouse.shutdown()
    return again


def _run(config: dict[str, Any]) -> None:
    Path(config["pids"], f"{config['replica']}-{config['worker']}").write_text(str(mp.current_process().pid))
    group.replica(config)
