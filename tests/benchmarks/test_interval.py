from __future__ import annotations

import statistics
from types import ModuleType

import pytest

from benchmarks.interval import interval, t_quantile


def test_a_hand_computed_interval() -> None:
    # s = 2, n = 4: 3.1824 · 2 / √4 (Student's table, 97.5 %, three degrees of freedom).
    found = interval([8.0, 10.0, 10.0, 12.0])
    spread = statistics.stdev([8.0, 10.0, 10.0, 12.0])
    assert found.mean == 10.0
    assert found.half_width == pytest.approx(3.1824 * spread / 2, rel=2e-3)
    assert found.low == pytest.approx(10.0 - found.half_width)
    assert found.values == (8.0, 10.0, 10.0, 12.0)


def test_one_repeat_says_nothing_of_its_error() -> None:
    found = interval([3.0])
    assert (found.mean, found.low, found.high, found.half_width) == (3.0, None, None, 0.0)


def test_equal_repeats() -> None:
    found = interval([2.0] * 3)
    assert (found.low, found.high) == (2.0, 2.0)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 7.3, 10, 30, 1000])
@pytest.mark.parametrize("p", [0.9, 0.95, 0.975])
def test_quantiles_are_scipy_s(p: float, freedom: float, need: object) -> None:
    stats = need("scipy.stats")  # type: ignore[operator]
    assert isinstance(stats, ModuleType)
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=2e-3)
    assert t_quantile(1 - p, freedom) == pytest.approx(-t_quantile(p, freedom))
