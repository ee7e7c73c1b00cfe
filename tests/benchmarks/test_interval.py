from __future__ import annotations

import statistics
from types import ModuleType

import pytest
from pydantic import ValidationError

from benchmarks.interval import Interval, interval, t_quantile


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


@pytest.mark.parametrize(
    "freedom", [1, 1.1, 1.5, 1.9, 2, 2.01, 2.5, 2.99, 3, 4, 5, 7.3, 10, 30, 1000, 1e5]
)
@pytest.mark.parametrize("p", [0.9, 0.95, 0.975])
def test_quantiles_are_scipy_s(p: float, freedom: float, need: object) -> None:
    stats = need("scipy.stats")  # type: ignore[operator]
    assert isinstance(stats, ModuleType)
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-5)
    assert t_quantile(1 - p, freedom) == pytest.approx(-t_quantile(p, freedom))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"low": None}, "both ends or none"),
        ({"low": 2.5}, "outside 2.5 to 3"),
        ({"high": 1.5}, "outside 1 to 1.5"),
        ({"mean": 2.1}, "mean 2.1, of the values it is 2"),
        ({"values": (1.0, 4.0)}, "mean 2, of the values it is 2.5"),
    ],
)
def test_an_interval_that_contradicts_itself(changes: dict[str, object], expected: str) -> None:
    good = {"mean": 2.0, "low": 1.0, "high": 3.0, "values": (1.5, 2.5)}
    assert Interval.model_validate(good).mean == 2.0
    with pytest.raises(ValidationError, match=expected):
        Interval.model_validate({**good, **changes})
