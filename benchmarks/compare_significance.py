"""Whether two figures differ by more than their repeats scatter.

Welch's test ("The generalization of Student's problem when several different population variances
are involved", Biometrika 1947): b - a lies within ± t(v) · √(s_a²/n_a + s_b²/n_b) of the measured
difference with 95 % confidence, v by Welch and Satterthwaite. It needs two repeats of both; a
permutation test would need four, for 3 against 3 can be arranged in 20 ways only.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.interval import CONFIDENCE, Interval, t_quantile
from benchmarks.report import Table


class Difference(Table):
    """How much larger the second figure is."""

    mean: float
    low: float | None  # of the 95 % confidence interval; None: one of them has one repeat only
    high: float | None

    @property
    def significant(self) -> bool | None:
        """Whether it is another value at all; None where nobody can tell."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


def difference(a: Interval, b: Interval, *, exact: bool = False) -> Difference:
    """Return b - a with its 95 % confidence interval.

    Args:
        a: the first one.
        b: the second one.
        exact: neither has an error, so that one value of each is enough.
    """
    mean = b.mean - a.mean
    if exact:
        return Difference(mean=mean, low=mean, high=mean)
    if min(len(a.values), len(b.values)) < 2:
        return Difference(mean=mean, low=None, high=None)
    half = _half_width(a.values, b.values)
    return Difference(mean=mean, low=mean - half, high=mean + half)


def _half_width(a: Sequence[float], b: Sequence[float]) -> float:
    share_a, share_b = (statistics.variance(values) / len(values) for values in (a, b))
    if share_a + share_b == 0:
        return 0.0
    freedom = (share_a + share_b) ** 2 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    return t_quantile((1.0 + CONFIDENCE) / 2.0, freedom) * math.sqrt(share_a + share_b)
