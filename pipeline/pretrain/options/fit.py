"""The largest micro-batch that fits into memory: tried once in a process of its own, then a number of the config.

Floating point depends on it, so it must not change when a run goes on elsewhere: `settle` keeps what an earlier driver
found, and whoever writes run.toml keeps what `settle` returns. Knows no run directory; torch only in the child.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError, StageFailed
from cluster.fields import result_view
from models.config import GPTConfig
from pipeline.config import RunConfig
from pipeline.pretrain.config import PretrainConfig

BESIDE = 500 << 20  # bytes that Ray, torchft and their threads take in a replica beside its tensors
FREE_SHARE = 0.8  # of the machine's free memory that replicas may take
PROBE_TIMEOUT_S = 600.0


def settle(config: RunConfig, before: RunConfig | None) -> RunConfig:
    """The config with a number in place of ``micro_batch = "auto"``: the one that stood ``before``, where shape and
    settings are the same, else what the probe finds. Raises ConfigError where not even one window fits."""
    pretrain = config.pretrain
    if pretrain.micro_batch != "auto":
        return config
    if before and before.pretrain.micro_batch != "auto" and _asked(before) == _asked(config):
        found = before.pretrain.micro_batch
    else:
        found = probed(config)
    return config.model_copy(update={"pretrain": pretrain.model_copy(update={"micro_batch": found})})


def _asked(config: RunConfig) -> tuple[Any, Any, int]:
    view = result_view(config.pretrain)
    return result_view(config.model), {**view, "micro_batch": "auto"}, config.shard_windows


def probed(config: RunConfig) -> int:
    """What fits on this machine: forward and backward in a child whose memory is limited."""
    pretrain = config.pretrain
    shard = config.shard_windows
    budget = pretrain.memory_bytes or int(free_bytes() * FREE_SHARE / pretrain.replicas)
    room = budget - reserved(config.model, pretrain)
    peaks = measure(config, shard, room) if room > 0 else {}
    found = largest(peaks, room, shard)
    if found is None:
        least = f"one window takes {peaks[1]:,}" if 1 in peaks else "not even one window can be tried"
        rule = f"a replica has {budget:,} bytes, {max(room, 0):,} of them for the step, and {least}"
        remedy = "Raise pretrain.memory_bytes, set pretrain.recompute, or take fewer replicas or a smaller model"
        raise ConfigError("pretrain.micro_batch", "auto", rule, remedy)
    return found


def largest(peaks: Mapping[int, int], room: int, shard: int) -> int | None:
    """The most windows whose peak is within the room: 0 where a whole shard is, None where not even one is."""
    fitting = [size for size, peak in peaks.items() if peak <= room]
    if not fitting:
        return None
    return 0 if max(fitting) >= shard else max(fitting)


def reserved(model: GPTConfig, how: PretrainConfig) -> int:
    """Bytes that a replica needs beside what the probe measures: partial sums of the fixed tree, the copy that a
    checkpoint is written from, the states that a rollback returns to (of which it holds copies too), and its
    surroundings."""
    copies = 3 * (1 + 2 * how.guard.states)  # weights and two moments each
    return BESIDE + 4 * model.parameters() * (how.partial_sums + copies)


def free_bytes() -> int:
    """Memory that is free for new processes: the system's, or the container's where it is less."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    try:
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or no limit
        return free
    return min(free, limit - used)


def measure(config: RunConfig, shard: int, room: int) -> dict[int, int]:
    """Peak resident bytes by micro-batch, in doubling sizes up to a shard, as far as they were reached within room."""
    sections = {name: getattr(config, name).model_dump(mode="json") for name in ("model", "optim", "pretrain")}
    here = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.run(
        [sys.executable, "-m", "pipeline.pretrain.options.fit"],
        input=json.dumps({**sections, "shard": shard, "room": room}),
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(config.pretrain.threads)},
        capture_output=True,
        text=True,
        timeout=PROBE_TIMEOUT_S,
    )
    if child.returncode > 0:  # below 0 a signal ended it, which the limit may do
        raise StageFailed("pretrain", f"the probe for micro_batch: {child.stderr[-2000:]}")
    return {int(size): int(peak) for size, peak in (line.split() for line in child.stdout.splitlines())}


def _child() -> None:
    """Print ``size peak`` for each size, until one does not fit."""
    import torch

    from models.optim import make_optimizer
    from models.optim_config import OptimConfig
    from models.parts import part
    from pipeline.pretrain import objective
    from pipeline.pretrain.pace import peak_bytes

    asked = json.load(sys.stdin)
    shape, how = GPTConfig.model_validate(asked["model"]), PretrainConfig.model_validate(asked["pretrain"])
    shard, room = asked["shard"], asked["room"]
    torch.set_num_threads(how.threads)
    resource.setrlimit(resource.RLIMIT_DATA, (room, room))  # private pages: of libraries only what they write to
    try:
        model = objective.build(shape, how, 0)
        model.train()
        optimizer = make_optimizer(model, OptimConfig.model_validate(asked["optim"]))
        size = 1
        while True:
            rows = torch.randint(shape.vocab_size, (size, shape.context + 1))
            loss = objective.loss(model, rows[:, :-1], rows[:, 1:], how)[0]
            aux = part("mlps", "experts").aux_of(model)
            (loss if aux is None else loss + aux).backward()
            optimizer.step()  # the first makes the moments
            print(size, peak_bytes(), flush=True)
            if size >= shard:
                return
            size = min(2 * size, shard)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise


if __name__ == "__main__":
    _child()
