"""Learning rate and batch size as functions of the fraction of data seen. Knows no loop and keeps no state:
step i is arithmetic, so that a resumed run, a replica and a plan agree."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.optim_config import OptimConfig


def lr_at(fraction: float, config: OptimConfig) -> float:
    """The learning rate after `fraction` of the tokens: linear warmup from 0, flat, linear decay to the final rate."""
    if fraction < config.warmup_fraction:
        return config.peak_lr * fraction / config.warmup_fraction
    start = 1.0 - config.decay_fraction
    if fraction <= start:
        return config.peak_lr
    done = min(1.0, (fraction - start) / config.decay_fraction)
    return config.peak_lr * (1.0 - done * (1.0 - config.final_lr_fraction))


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
