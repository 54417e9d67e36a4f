"""Rotary positions (Su and others 2021, arXiv 2104.09864): queries and keys turn by angles that grow with the place.

Scalings for contexts longer than the angles were made for, by `factor` s; "turns" are those of a channel pair over the
original context:
linear  all angles / s (position interpolation, Chen and others 2023, arXiv 2306.15595);
ntk     the base x s^(K / (K - 2)): the slowest pair is stretched by s, the fastest stays (section 3.1 of YaRN's paper);
yarn    pairs of less than `low` turns / s, of more than `high` stay, a ramp over the pairs between; cosines and sines
        x 0.1 ln(s) + 1, so that attention is as sharp as before (Peng and others 2023, arXiv 2309.00071);
llama3  the same with a ramp over the turns, and no factor (Grattafiori and others 2024, arXiv 2407.21783).
"""

import math

import torch
from torch import Tensor

from models.config import GPTConfig, RotaryConfig
from models.layers import Positions, Where


class Rotary(Positions):
    """Cosines and sines [context, K] of each place."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        cos, sin = tables(config.rotary, config.context, config.head_width)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def angles(self, places: Where) -> tuple[Tensor, Tensor]:
        """[..., T, 1, K] each."""
        return self.cos[places][..., None, :], self.sin[places][..., None, :]


def tables(rotary: RotaryConfig, context: int, head_width: int) -> tuple[Tensor, Tensor]:
    """cos and sin [context, K] of place x rate, for both channels of a pair; the first one's sine is negative."""
    # float64: the angle of a far place keeps its low bits
    angles = torch.outer(torch.arange(context, dtype=torch.float64), rates(rotary, head_width))
    size = sharpness(rotary)
    cos, sin = (angles.cos() * size).float(), (angles.sin() * size).float()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rates(rotary: RotaryConfig, head_width: int) -> Tensor:
    """Radians per place of each channel pair, float64 [K / 2]: base^(-2i / K), then stretched."""
    base, factor = rotary.base, rotary.factor
    if rotary.scaling == "ntk":
        base *= factor ** (head_width / max(1, head_width - 2))  # a head of one pair has no base
    made: Tensor = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    if rotary.scaling == "linear":
        return made / factor
    if rotary.scaling in ("yarn", "llama3"):
        kept = _kept_by_pair(rotary, head_width) if rotary.scaling == "yarn" else _kept_by_turns(rotary, made)
        return made * kept + made / factor * (1.0 - kept)
    return made


def sharpness(rotary: RotaryConfig) -> float:
    """What cosines and sines are multiplied with; queries x keys get its square."""
    return 0.1 * math.log(rotary.factor) + 1.0 if rotary.scaling == "yarn" else 1.0


def _kept_by_turns(rotary: RotaryConfig, made: Tensor) -> Tensor:
    turns = rotary.original_context * made / (2 * math.pi)
    return ((turns - rotary.low) / (rotary.high - rotary.low)).clamp(0.0, 1.0)


def _kept_by_pair(rotary: RotaryConfig, head_width: int) -> Tensor:
    def pair(turns: float) -> float:  # the one that makes so many turns over the original context
        return head_width * math.log(rotary.original_context / (2 * math.pi * turns)) / (2 * math.log(rotary.base))

    # whole pairs, and the bound by K, not K / 2, as in the authors' code: models in use were trained so
    first, last = max(0, math.floor(pair(rotary.high))), min(head_width - 1, math.ceil(pair(rotary.low)))
    ramp = (torch.arange(head_width // 2, dtype=torch.float64) - first) / max(last - first, 0.001)
    return 1.0 - ramp.clamp(0.0, 1.0)


def make(config: GPTConfig) -> Positions:
    """The rotary positions of a model."""
    return Rotary(config)
