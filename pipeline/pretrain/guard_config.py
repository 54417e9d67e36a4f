"""Settings of the guard. Schemas only."""

from typing import Literal, Self

from pydantic import model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, result

KEPT_STATES = 2  # so that one is always `back` steps old

Policy = Literal["off", "skip", "lower", "rollback", "rollback+lower"]


class GuardConfig(Config):
    """What happens to a step whose loss or gradient norm is a spike, or whose gradient is not finite.

    Its update is always left out. "lower" multiplies the learning rate from there on (OPT, arXiv 2205.01068, section
    2.5); "rollback" brings back the state of ``back`` to 2 ``back`` steps ago and passes over ``batches`` more batches
    (PaLM, arXiv 2204.02311, section 5.1), for 24 bytes a parameter with AdamW.
    """

    policy: Policy = result("skip", "What a spike leads to, beside leaving its update out", unit="none")
    loss_z: float = result(8.0, "Robust z-score of the loss from which it is a spike", unit="deviations", gt=0)
    norm_z: float = result(16.0, "The same of the logarithm of the gradient norm", unit="deviations", gt=0)
    rise_z: float = result(
        2.5,
        "Robust z-score of the last quarter's median loss from which lower and rollback act",
        unit="deviations",
        gt=0,
    )
    window: int = result(64, "Applied steps that a step is compared with", unit="steps", ge=8)
    warmup: int = result(32, "Applied steps before the first comparison", unit="steps", ge=4)
    patience: int = result(16, "Events within a window that end the run", unit="events", ge=1)
    back: int = result(20, "Steps between the states that are kept for a rollback", unit="steps", ge=1)
    batches: int = result(20, "Batches that a rollback passes over, after the bad one", unit="batches", ge=0)
    factor: float = result(0.5, "What lower multiplies the rate by", unit="none", gt=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in ("warmup", "patience"):
            if getattr(self, name) > self.window:
                rule = f"at most pretrain.guard.window = {self.window}, within which it counts"
                raise ConfigError(f"pretrain.guard.{name}", getattr(self, name), rule, f"Lower {name}, or raise window")
        return self

    @property
    def rolls_back(self) -> bool:
        """Whether states are kept in memory."""
        return self.policy.startswith("rollback")

    @property
    def states(self) -> int:
        """How many states are kept in memory."""
        return KEPT_STATES if self.rolls_back else 0

    @property
    def lowers(self) -> bool:
        """Whether a spike lowers the rate."""
        return self.policy.endswith("lower")
