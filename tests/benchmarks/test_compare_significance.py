"""Welch's test against SciPy's, which the product does not need."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.compare_significance import difference
from benchmarks.interval import interval


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (3, 9), (2, 7), (20, 4)])
def test_the_interval_is_that_of_scipy(seed: int, n_a: int, n_b: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(10.0, 1.0, n_a), random.normal(10.5, 3.0, n_b)
    found = difference(interval(a.tolist()), interval(b.tolist()))
    oracle = stats.ttest_ind(b, a, equal_var=False)
    low, high = oracle.confidence_interval(0.95)
    assert found.mean == pytest.approx(b.mean() - a.mean())
    half = (high - low) / 2
    if oracle.df >= 3:
        assert found.low == pytest.approx(low, abs=0.01 * half)
        assert found.high == pytest.approx(high, abs=0.01 * half)
    else:  # between whole degrees of freedom the quantile is that of the smaller one
        assert found.low is not None
        assert found.low <= low + 0.01 * half
    if abs(oracle.pvalue - 0.05) > 0.01 and oracle.df >= 3:
        assert found.significant is bool(oracle.pvalue < 0.05)


def test_of_equal_figures_about_one_in_twenty_looks_different() -> None:
    random = np.random.default_rng(0)
    pairs = random.normal(10.0, 1.0, (2000, 2, 5))
    found = [difference(interval(a.tolist()), interval(b.tolist())).significant for a, b in pairs]
    assert 0.03 < np.mean(found) < 0.06  # Welch's test errs to the safe side for so few repeats


def test_no_scatter_and_one_value() -> None:
    five, six = interval([5.0, 5.0]), interval([6.0, 6.0, 6.0])
    assert difference(five, five).significant is False
    assert difference(five, six).significant is True
    assert difference(interval([5.0]), six).significant is None
    assert difference(interval([5.0]), interval([6.0]), exact=True).significant is True
