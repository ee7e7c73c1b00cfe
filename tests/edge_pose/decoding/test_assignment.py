from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_pose.decoding.assignment import assign


def least(cost: NDArray[np.float64]) -> float:
    """Try everything."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    n, m = cost.shape
    return min(float(cost[range(n), chosen].sum()) for chosen in permutations(range(m), n))


@settings(deadline=None)  # the machine may be busy
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    m=st.integers(1, 5),
    levels=st.sampled_from([2, 5, 1000]),
)
def test_no_other_pairing_costs_less(seed: int, n: int, m: int, levels: int) -> None:
    # Few levels: many rows want the same column, and there are ties.
    cost = np.random.default_rng(seed).integers(-levels, levels, (n, m)).astype(np.float64)
    rows, columns = assign(cost)
    assert len(rows) == len(columns) == min(n, m)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == len(columns)
    assert cost[rows, columns].sum() == least(cost)


@pytest.mark.parametrize("shape", [(30, 30), (30, 90), (40, 25)])
def test_as_scipy_for_a_crowd(shape: tuple[int, int]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    for seed in range(5):
        cost = np.random.default_rng(seed).gamma(1.0, 5.0, shape)
        cost[cost > 8] = 1e4
        rows, columns = assign(cost)
        expected = cost[optimize.linear_sum_assignment(cost)].sum()
        assert cost[rows, columns].sum() == pytest.approx(expected, rel=1e-12)
        assert len(set(columns.tolist())) == len(rows) == min(shape)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_to_pair(shape: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(shape))
    assert (rows.shape, columns.shape) == ((0,), (0,))
