"""Processes of one thread that work a list of jobs together, and the one process that they are compared with."""

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.layout_config import Layout
from models.losses import linear_cross_entropy
from models.optim import make_optimizer
from models.optim_config import OptimConfig
from models.parallel.mesh import make_place
from models.parallel.objective import Objective
from models.parallel.run import Replica, build
from models.parallel.step import LayoutStep, Pair
from models.step import ExactStep, LocalExchange, StepFacts

ROWS, SHARDS, SEED, RATE = 8, 2, 1, 3e-3
OPTIM = OptimConfig(peak_lr=RATE)
MUON = OptimConfig(kind="muon", peak_lr=RATE, matrix_lr=0.5)
DESCENDED: dict[str, Any] = {"smoothing": 0.1, "z_weight": 1e-3}

Job = Callable[..., Any]
Jobs = dict[str, tuple[Job, tuple[Any, ...]]]


def shape(**changes: object) -> GPTConfig:
    base = {"vocab_size": 61, "context": 16, "layers": 2, "width": 16, "heads": 4, "hidden": 24}
    return GPTConfig.model_validate(base | changes)


def batch(step: int, g: int) -> Pair:
    """Inputs and targets of logical shard g; some targets are not counted, so that passes have unlike weights."""
    rows = torch.randint(0, 61, (ROWS, 17), generator=torch.Generator().manual_seed(100 * step + g))
    rows[:, 9:] = rows[:, :8]  # something to learn
    targets = rows[:, 1:].clone()
    targets[0, :5] = -100
    return rows[:, :-1], targets


def probe(g: int) -> Pair:
    """Three rows, so that data workers have unlike numbers of them."""
    inputs, targets = batch(99, g)
    return inputs[:3], targets[:3]


def steps(step: ExactStep[Pair], count: int, first: int = 0) -> list[StepFacts]:
    """Facts of `count` steps."""
    exchange = LocalExchange()
    return [
        step.apply(step.gradient(partial(batch, t), exchange, probe_of=probe), RATE)
        for t in range(first, first + count)
    ]


def optim(name: str) -> OptimConfig:
    """The optimiser of a case."""
    return MUON if name.startswith("muon") else OPTIM


def one_process(config: GPTConfig, passes: int = 1, optim: OptimConfig = OPTIM) -> ExactStep[Pair]:
    """The same training without a layout; a shard is cut into as many passes as the layout cuts it into."""
    model = GPT(config)
    init_weights(model, SEED)

    def loss(model: nn.Module, rows: Pair) -> tuple[Tensor, ...]:
        assert isinstance(model, GPT)
        hidden = model.hidden(rows[0]).flatten(0, 1)
        about = {"scale": model.logit_scale, "cap": config.logit_cap, **(DESCENDED if model.training else {})}
        return linear_cross_entropy(hidden, model.head_weight, rows[1].flatten(), **about)

    def parts(rows: Pair) -> list[Pair]:
        each = ROWS // passes
        return list(zip(torch.split(rows[0], each), torch.split(rows[1], each), strict=True))

    return ExactStep(model, make_optimizer(model, optim), loss, SHARDS, 1.0, parts=parts)


def made(config: GPTConfig, layout: Layout, optim: OptimConfig = OPTIM) -> tuple[Replica, LayoutStep[Pair]]:
    """One worker's replica and step."""
    layout.check(config, ROWS, optim.kind)
    replica = build(config, make_place(layout), SEED, Objective(**DESCENDED))
    return replica, LayoutStep(replica, replica.make_optimizer(optim), lambda pair: pair, SHARDS, 1.0)


def together(workers: int, jobs: Jobs, folder: Path) -> dict[str, Any]:
    """What the first worker returns of each job, all of them in one set of processes. A failed job ends it."""
    context = mp.get_context("forkserver")  # torch is imported once for all of them
    context.set_forkserver_preload([__name__])
    processes = [context.Process(target=_work, args=(rank, workers, jobs, str(folder))) for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(150)
        process.kill()
    said = sorted((path.read_text() for path in folder.glob("failed-*")), key=lambda text: "closed by peer" in text)
    assert not said, said[0]  # the cause before what it caused
    found: dict[str, Any] = torch.load(folder / "results", weights_only=False)
    return found


def _work(rank: int, workers: int, jobs: Jobs, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=workers)
    try:
        results = {name: job(*about) for name, (job, about) in jobs.items()}
        if rank == 0:
            torch.save(results, f"{folder}/results")
        dist.barrier()
    except BaseException:
        Path(folder, f"failed-{rank}").write_text(traceback.format_exc())
        raise
    finally:
        dist.destroy_process_group()
