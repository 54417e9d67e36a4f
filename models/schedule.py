"""Learning rate, batch size and sequence length as functions of the fraction of data seen. Knows no loop and keeps no
state: step i is arithmetic, so that a resumed run, a replica and a plan agree."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.optim_config import OptimConfig

if TYPE_CHECKING:
    from torch import Tensor  # a plan is made without loading torch


def lr_at(fraction: float, config: OptimConfig) -> float:
    """The learning rate after `fraction` of the tokens: linear warmup from 0, then the course that the config names."""
    if fraction < config.warmup_fraction:
        return config.peak_lr * fraction / config.warmup_fraction
    return config.peak_lr * COURSES[config.schedule](min(fraction, 1.0), config)


# Courses: rate / peak rate, of a fraction in [warmup, 1]


def _wsd(fraction: float, config: OptimConfig) -> float:
    """Flat, then down to the final rate over the last `decay_fraction` (Hu 2024, arXiv 2404.06395; Haegele 2024, arXiv
    2405.18392, who find 1 - sqrt the best shape and linear close to it)."""
    start = 1.0 - config.decay_fraction
    if fraction <= start:
        return 1.0
    done = min(1.0, (fraction - start) / config.decay_fraction)
    if config.decay_shape == "cosine":
        done = _half_cosine(done)
    elif config.decay_shape == "sqrt":
        done = math.sqrt(done)
    return 1.0 - done * (1.0 - config.final_lr_fraction)


def _linear(fraction: float, config: OptimConfig) -> float:
    """A line to the final rate (Defazio 2023, arXiv 2310.07831; to zero: Bergsma 2025, arXiv 2502.15938)."""
    return 1.0 - _done(fraction, config) * (1.0 - config.final_lr_fraction)


def _cosine(fraction: float, config: OptimConfig) -> float:
    """Half a cosine to the final rate (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts)."""
    return 1.0 - _half_cosine(_done(fraction, config)) * (1.0 - config.final_lr_fraction)


def _step(fraction: float, config: OptimConfig) -> float:
    """x `step_factor` at each of `step_fractions` (He 2015, arXiv 1512.03385)."""
    return math.pow(config.step_factor, bisect_right(config.step_fractions, fraction))


def _exponential(fraction: float, config: OptimConfig) -> float:
    """The same factor each step, to the final rate."""
    return math.pow(config.final_lr_fraction, _done(fraction, config))


def _inverse_sqrt(fraction: float, config: OptimConfig) -> float:
    """sqrt(warmup / fraction): 1 / sqrt(step) (Vaswani 2017, arXiv 1706.03762, section 5.3)."""
    return math.sqrt(config.warmup_fraction / fraction)


COURSES: dict[str, Callable[[float, OptimConfig], float]] = {
    "wsd": _wsd,
    "linear": _linear,
    "cosine": _cosine,
    "step": _step,
    "exponential": _exponential,
    "inverse_sqrt": _inverse_sqrt,
    "constant": lambda fraction, config: 1.0,
}


def _done(fraction: float, config: OptimConfig) -> float:
    """The part of what comes after the warmup that is behind."""
    return (fraction - config.warmup_fraction) / (1.0 - config.warmup_fraction) if config.warmup_fraction < 1 else 1.0


def _half_cosine(done: float) -> float:
    return 0.5 * (1.0 - math.cos(math.pi * done))


@dataclass(frozen=True)
class ContextSchedule:
    """Tokens a row, by fraction of the tokens seen: ((0.0, 64), (0.3, 256)) (Li 2022, arXiv 2108.06084).

    A step takes the same windows as without it, each cut by `rows_of`: the order of the data, the tokens of a step and
    what a resume must know stay as they are. No stages: whole windows throughout. Raises ValueError unless the stages
    start at 0, rise in fraction, and each context divides `window`, the whole one.
    """

    window: int
    stages: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        starts, contexts = [start for start, _ in self.stages], [context for _, context in self.stages]
        if starts and (starts[0] != 0.0 or starts != sorted(set(starts)) or starts[-1] >= 1.0):
            raise ValueError(f"context stages must start at 0 and rise below 1, got starts {starts}")
        for context in contexts:
            if context < 2 or self.window % context:
                raise ValueError(
                    f"a context stage of {context} tokens must divide the context = {self.window}, so that a window is "
                    f"whole rows; take {self.window} / 2, / 4, ..."
                )

    def at(self, fraction: float) -> int:
        """Tokens a row after `fraction` of the tokens."""
        stage = bisect_right(self.stages, fraction, key=lambda stage: stage[0]) - 1
        return self.stages[stage][1] if self.stages else self.window


def rows_of(windows_BT1: "Tensor", context: int) -> "Tensor":
    """Windows [B, T + 1] as rows [B T / c, c + 1] of a shorter context c that divides T.

    Row j of a window is its tokens j c ... j c + c: the last of them is the next row's first, as a target is the next
    input, so each token is predicted once. Window by window, in order.
    """
    return windows_BT1.unfold(1, context + 1, context).flatten(0, 1)


@dataclass(frozen=True)
class BatchSchedule:
    """Sequences a step, by fraction of the sequences seen: ((0.0, 8), (0.25, 16)) doubles after a quarter.

    Raises ValueError unless the stages start at 0, rise, stay below 1 and have at least one sequence a step.
    """

    stages: tuple[tuple[float, int], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.stages]
        if not starts or starts[0] != 0.0 or starts != sorted(set(starts)) or starts[-1] >= 1.0:
            raise ValueError(f"batch stages must start at 0 and rise below 1, got starts {starts}")
        if min(size for _, size in self.stages) < 1:
            raise ValueError(f"a batch stage needs at least one sequence a step, got {self.stages}")


@dataclass(frozen=True)
class Plan:
    """A run of `total_sequences` cut into steps. A stage's steps are whole; only the run's last step may be short."""

    total_sequences: int
    batch: BatchSchedule
    _first_steps: list[int] = field(init=False, repr=False, compare=False)
    _first_sequences: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.total_sequences < 1:
            raise ValueError(f"a plan needs at least one sequence, got {self.total_sequences}")
        bounds = [round(start * self.total_sequences) for start, _ in self.batch.stages[1:]] + [self.total_sequences]
        steps, sequences = [0], [0]  # prefix sums over the stages
        for (_, size), bound in zip(self.batch.stages, bounds, strict=True):
            count = max(0, -(-(bound - sequences[-1]) // size))
            steps.append(steps[-1] + count)
            sequences.append(sequences[-1] + count * size)
        object.__setattr__(self, "_first_steps", steps)
        object.__setattr__(self, "_first_sequences", sequences)

    @property
    def steps(self) -> int:
        """Number of steps of the run."""
        return self._first_steps[-1]

    def step(self, index: int) -> tuple[int, int, float]:
        """(first sequence, number of sequences, fraction of the run at the step's middle) of step `index`.

        The middle: a warmup from 0 or a decay to 0 then wastes neither the first step nor the last one.
        """
        if not 0 <= index < self.steps:
            raise IndexError(f"step {index} of a plan of {self.steps}")
        stage = bisect_right(self._first_steps, index) - 1
        size = self.batch.stages[stage][1]
        first = self._first_sequences[stage] + (index - self._first_steps[stage]) * size
        count = min(size, self.total_sequences - first)
        return first, count, (first + count / 2) / self.total_sequences


def whole_plan(tokens: int, context: int, stages: Sequence[Sequence[float]]) -> Plan:
    """A plan of at least ``tokens`` whose last step is whole, so that shards which divide the batches divide each step.

    ``stages`` are pairs of (token fraction, sequences a step); the budget grows by a few batches at most.
    """
    batch = BatchSchedule(tuple((float(start), int(size)) for start, size in stages))
    sequences = max(-(-tokens // context), batch.stages[0][1])
    while True:
        plan = Plan(sequences, batch)
        _, count, _ = plan.step(plan.steps - 1)
        size = next(size for start, size in reversed(batch.stages) if round(start * sequences) < sequences)
        if count == size:
            return plan
        sequences += size - count
