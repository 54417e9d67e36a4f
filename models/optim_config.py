"""Settings of an optimiser and of its learning rate. Schemas only: no torch."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from models.config import choice

Optimizer = Literal["adamw", "sgd", "adafactor", "lion", "muon"]
Schedule = Literal["wsd", "linear", "cosine", "step", "exponential", "inverse_sqrt", "constant"]


class OptimConfig(BaseModel):
    """An optimiser, gradient clipping, and the learning rate as a function of the fraction of tokens seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Optimizer = choice("adamw", "optimiser")
    peak_lr: float = choice(..., "learning rate after the warmup (adafactor: of a parameter's size)", gt=0)
    beta1: float = choice(0.9, "decay of the gradient's mean (adamw, lion)", ge=0, lt=1)
    beta2: float = choice(0.95, "decay of the gradient's square (adamw), of its mean (lion)", ge=0, lt=1)
    momentum: float = choice(0.95, "decay of the gradient's sum (sgd, muon)", ge=0, lt=1)
    nesterov: bool = choice(True, "look ahead along the momentum (sgd, muon)")
    eps: float = choice(1e-8, "added to the denominator (adamw)", gt=0)
    weight_decay: float = choice(0.1, "decoupled decay of matrices", ge=0)
    matrix_lr: float = choice(1.0, "rate of the matrices that Muon turns / that of all others", gt=0)
    clip_norm: float = choice(1.0, "largest global norm of the gradient", gt=0)
    schedule: Schedule = choice("wsd", "course of the learning rate after the warmup")
    warmup_fraction: float = choice(0.02, "linear warmup from zero", "fraction", ge=0, le=1)
    decay_fraction: float = choice(0.5, "decay at the end (wsd)", "fraction", ge=0, le=1)
    decay_shape: Literal["linear", "cosine", "sqrt"] = choice("linear", "form of that decay (wsd)")
    final_lr_fraction: float = choice(0.1, "last rate / peak (wsd, linear, cosine, exponential)", ge=0, le=1)
    step_fractions: tuple[float, ...] = choice((0.5, 0.75), "where the rate falls (step)", "fraction")
    step_factor: float = choice(0.1, "by what it is multiplied there (step)", gt=0, le=1)

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.schedule == "wsd" and self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} + decay_fraction {self.decay_fraction} must be at most 1;"
                " lower one"
            )
        if self.schedule == "inverse_sqrt" and not self.warmup_fraction:
            raise ValueError("warmup_fraction 0: schedule inverse_sqrt falls from where the warmup ends; take 0.01")
        if self.schedule == "exponential" and not self.final_lr_fraction:
            raise ValueError("final_lr_fraction 0: schedule exponential never reaches zero; take 0.01, or linear")
        drops = [self.warmup_fraction, *self.step_fractions, 1.0]
        if self.schedule == "step" and drops != sorted(set(drops)):
            raise ValueError(
                f"step_fractions {','.join(map(str, self.step_fractions))} must rise between warmup_fraction = "
                f"{self.warmup_fraction} and 1; sort them"
            )
        return self
