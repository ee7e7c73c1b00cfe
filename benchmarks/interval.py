"""Confidence intervals of figures that were measured several times.

The mean of n repeats lies within ± t(n-1) · s / √n of the true one with 95 % confidence, if the
repeats are independent and about normally distributed (Student, "The probable error of a mean",
Biometrika 1908). Frames of one run are neither: that is why whole runs are repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from functools import lru_cache

from pydantic import Field, model_validator

from benchmarks.report import Table

CONFIDENCE = 0.95
SLACK = 1e-6  # of figures that were rounded
STEPS = 200  # of Simpson's rule, even


class Interval(Table):
    """One figure over all repeats."""

    mean: float
    low: float | None = Field(description="of the 95 % confidence interval; None: one repeat")
    high: float | None
    values: tuple[float, ...] = Field(min_length=1, description="of each repeat, in order")

    @model_validator(mode="after")
    def _consistent(self) -> Interval:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both ends or none")
        if self.low is not None and self.high is not None:
            slack = SLACK * max(abs(self.low), abs(self.high))
            if not self.low - slack <= self.mean <= self.high + slack:
                raise ValueError(f"mean {self.mean:g} is outside {self.low:g} to {self.high:g}")
        mean = statistics.fmean(self.values)
        if not math.isclose(self.mean, mean, rel_tol=SLACK, abs_tol=1e-9):
            raise ValueError(f"mean {self.mean:g}, of the values it is {mean:g}")
        return self

    @property
    def half_width(self) -> float:
        """Half of the interval; 0 where one repeat gives none."""
        return 0.0 if self.high is None else self.high - self.mean


def interval(values: Iterable[float]) -> Interval:
    """Return mean and 95 % confidence interval of at least one value."""
    kept = tuple(values)
    mean = statistics.fmean(kept)
    if len(kept) < 2:
        return Interval(mean=mean, low=None, high=None, values=kept)
    error = statistics.stdev(kept) / math.sqrt(len(kept))
    half = t_quantile((1.0 + CONFIDENCE) / 2.0, len(kept) - 1) * error
    return Interval(mean=mean, low=mean - half, high=mean + half, values=kept)


@lru_cache
def t_quantile(p: float, freedom: float) -> float:
    """Return the p-quantile of Student's t distribution, to about 1e-6.

    With t = √freedom · tan θ its density is proportional to cos(θ)^(freedom - 1) between -π/2 and
    π/2, which is integrated numerically (Abramowitz, Stegun, Handbook of Mathematical Functions,
    26.7.3 and 26.7.4, are the closed forms for whole numbers).

    Args:
        p: in (0, 1).
        freedom: degrees of freedom, at least 1; need not be whole (Welch's test).
    """
    if p < 0.5:
        return -t_quantile(1.0 - p, freedom)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(50):
        middle = (low + high) / 2
        if 0.5 + scale * _cosine_power_integral(middle, freedom - 1.0) < p:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _cosine_power_integral(end: float, power: float) -> float:
    """Return the integral of cos(θ)^power from 0 to `end`, by Simpson's rule."""
    values: list[float] = [math.cos(end * k / STEPS) ** power for k in range(STEPS + 1)]
    odd, even = sum(values[1:-1:2]), sum(values[2:-1:2])
    return end / STEPS / 3 * (values[0] + 4 * odd + 2 * even + values[-1])
