"""Axes: a number to a pixel, and where the ticks stand. Knows no chart and no markup."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps [lo, hi] to the pixels [start, end], by logarithm where `log` (then 0 < lo < hi)."""

    lo: float
    hi: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + self._share(value) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values inside [lo, hi], rising."""
        return _log_ticks(self.lo, self.hi, count) if self.log else _linear_ticks(self.lo, self.hi, count)

    def _share(self, value: float) -> float:
        if self.log:
            return math.log(value / self.lo) / math.log(self.hi / self.lo)
        return (value - self.lo) / (self.hi - self.lo)


def fit(values: Sequence[float], start: float, end: float, *, log: bool, pad: float, zero: bool = False) -> Scale:
    """A scale that holds all values with `pad` (a fraction of the span) on each side; `zero` keeps zero on it.

    Values are finite, and positive where `log`. No values, or one, still give a scale with a span.
    """
    lo, hi = (min(values), max(values)) if values else (1.0, 10.0)
    if log:
        if lo == hi:
            lo, hi = lo / 2, hi * 2
        grow = (hi / lo) ** pad
        return Scale(lo / grow, hi * grow, start, end, log=True)
    if zero:
        lo, hi = min(lo, 0.0), max(hi, 0.0)
    if lo == hi:
        slack = abs(lo) * 0.1 or 1.0
        lo, hi = lo - (0.0 if zero and lo == 0 else slack), hi + slack
    span = hi - lo
    bottom = lo if zero and lo == 0 else lo - pad * span
    return Scale(bottom, hi if zero and hi == 0 else hi + pad * span, start, end)


def _linear_ticks(lo: float, hi: float, count: int) -> list[float]:
    raw = (hi - lo) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= raw * 0.999)
    first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
    # Rounding to the step's own decimals keeps 0.30000000000000004 off the axis.
    places = max(0, -math.floor(math.log10(step)) + 1)
    return [round(k * step, places) for k in range(first, last + 1)]


def _log_ticks(lo: float, hi: float, count: int) -> list[float]:
    first, last = math.floor(math.log10(lo)), math.ceil(math.log10(hi))
    for multiples in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [m * 10.0**k for k in range(first, last + 1) for m in multiples]
        found = [value for value in found if lo * 0.999 <= value <= hi * 1.001]
        if len(found) >= min(count, 3):
            every = math.ceil(len(found) / (count + 1))
            return found[::every]
    return _linear_ticks(lo, hi, count)
