"""Whether a step's loss or gradient norm is a spike, judged by the steps before it. Knows no policy and no loop.

A robust z-score: how far a value lies above the median of the last steps, in units of their spread. Median and MAD stay
where they are while less than half of the steps are bad, so one spike does not hide the next, as it does for a mean and
a standard deviation. Pure arithmetic: every member that has the same history finds the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MAD_TO_STD = 1.4826  # of a normal distribution
LOSS_FLOOR = 0.01  # least spread of the loss, as a share of its median
NORM_FLOOR = 0.1  # least spread of the logarithm of the gradient norm
TINY = 1e-12  # least spread at all
LEAST_QUARTER = 4  # steps whose median is a level


@dataclass(frozen=True)
class Spike:
    """What stands out: "loss", "gradient norm", "loss rises" or "gradient not finite"; z is infinite for the last."""

    cause: str
    z: float


def find_rise(losses: Sequence[float], rise_z: float) -> Spike | None:
    """The rise of the last quarter's median above the steps before, or None: what a rate that is too high leads to.

    No single step stands out in it. It ends with the newest step, which may itself be better.
    """
    last = len(losses) // 4
    if last < LEAST_QUARTER:
        return None
    before = losses[:-last]
    z = robust_z(median(losses[-last:]), before, max(LOSS_FLOOR * abs(median(before)), TINY))
    return Spike("loss rises", z) if z >= rise_z else None


def robust_z(value: float, sample: Sequence[float], floor: float) -> float:
    """(value - median) / (1.4826 MAD) of a sample, the spread being at least ``floor`` (Hampel 1974)."""
    middle = median(sample)
    spread = MAD_TO_STD * median(abs(x - middle) for x in sample)
    return (value - middle) / max(spread, floor)


def find_spike(
    loss: float, grad_norm: float, seen: Sequence[tuple[float, float]], *, loss_z: float, norm_z: float
) -> Spike | None:
    """The spike of a step after the (loss, gradient norm) of steps before it, or None. Only what rises is a spike.

    Norms are compared by their logarithms, since their tail is long: a step of a calm run reaches twice the median.
    """
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        return Spike("gradient not finite", math.inf)
    if not seen:
        return None
    losses, norms = [one for one, _ in seen], [_log(norm) for _, norm in seen]
    of_loss = robust_z(loss, losses, max(LOSS_FLOOR * abs(median(losses)), TINY))
    of_norm = robust_z(_log(grad_norm), norms, NORM_FLOOR)
    if of_loss / loss_z >= max(1.0, of_norm / norm_z):
        return Spike("loss", of_loss)
    return Spike("gradient norm", of_norm) if of_norm >= norm_z else None


def _log(norm: float) -> float:
    return math.log(max(norm, 1e-30))
