"""Settings of the search stage. Schemas only."""

from cluster.fields import Config, execution, result
from pipeline.pretrain.config import BatchStages


class SearchConfig(Config):
    """A grid of trials and the rungs that halve it.

    Each rung trains its trials from scratch over their whole schedule, so that losses are compared at an equal fraction
    of it: in the middle of a schedule, high learning rates look worse than they are.
    """

    enabled: bool = result(
        True, "Off: pretraining takes the recipe's own learning rate and batch schedule", unit="none"
    )
    peak_lrs: tuple[float, ...] = result(
        (1.5e-3, 3e-3, 6e-3), "Peak learning rates to try", unit="1/step", min_length=1, max_length=64
    )
    batches: tuple[BatchStages, ...] = result(
        (((0.0, 8),), ((0.0, 4), (0.5, 8)), ((0.0, 4), (0.3, 8), (0.6, 16))),
        "Batch schedules to try: pairs of (token fraction, sequences a step)",
        unit="(fraction, sequences)",
        min_length=1,
        max_length=64,
    )
    rungs: tuple[int, ...] = result(
        (32_768, 98_304), "Training tokens of a trial at each rung", unit="tokens", min_length=1, max_length=8
    )
    reduction: int = result(3, "One trial in so many goes on to the next rung", unit="ratio", ge=2, le=16)
    windows: int = result(48, "Held-out windows of one context that score a trial", unit="windows", ge=1)
    threads: int = result(1, "Threads of one trial", unit="threads", ge=1)
    concurrent: int = execution(2, "Trials at the same time", unit="trials", ge=1)
