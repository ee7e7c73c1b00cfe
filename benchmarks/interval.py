"""Confidence intervals of figures that were measured several times.

The mean of n repeats lies within ± t(n-1) · s / √n of the true one with 95 % confidence, if the
repeats are independent and about normally distributed (Student, "The probable error of a mean",
Biometrika 1908). Frames of one run are neither: that is why whole runs are repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from pydantic import Field

from benchmarks.report import Table

CONFIDENCE = 0.95


class Interval(Table):
    """One figure over all repeats."""

    mean: float
    low: float | None = Field(description="of the 95 % confidence interval; None: one repeat")
    high: float | None
    values: tuple[float, ...] = Field(min_length=1, description="of each repeat, in order")

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


def t_quantile(p: float, freedom: float) -> float:
    """Return the p-quantile of Student's t distribution, to about 0.2 %.

    Exact for one and two degrees of freedom, else the expansion of Cornish and Fisher
    (Abramowitz, Stegun, Handbook of Mathematical Functions, 26.7.5).

    Args:
        p: in (0, 1).
        freedom: degrees of freedom, at least 1; need not be whole (Welch's test).
    """
    if freedom < 2:
        return math.tan(math.pi * (p - 0.5))
    if freedom < 3:
        return (2.0 * p - 1.0) * math.sqrt(2.0 / (4.0 * p * (1.0 - p)))
    z = statistics.NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (k + 1) for k, term in enumerate(terms))
