from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_pose.decoding.peaks import local_maxima
from edge_pose.types import FloatArray


def naive(maps: FloatArray, radius: int, threshold: float) -> list[tuple[int, int, int]]:
    """Walk over every px and its neighbours."""
    count, height, width = maps.shape
    found = []
    for k, y, x in np.ndindex(count, height, width):
        around = [
            (maps[k, v, u], (v, u))
            for v in range(max(y - radius, 0), min(y + radius + 1, height))
            for u in range(max(x - radius, 0), min(x + radius + 1, width))
        ]
        value = maps[k, y, x]
        beaten = any(other > value or (other == value and at < (y, x)) for other, at in around)
        if value > threshold and not beaten:
            found.append((k, y, x))
    return found


@settings(deadline=None)  # the machine may be busy
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([2, 4, 10_000]),
    radius=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_nothing_around_a_maximum_exceeds_it(
    seed: int, levels: int, radius: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    maps = (rng.integers(0, levels, (2, height, width)) / levels).astype(np.float32)
    found = local_maxima(maps, radius, 0.4)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == naive(maps, radius, 0.4)


def test_a_plateau_is_one_maximum() -> None:
    maps = np.zeros((1, 8, 8), np.float32)
    maps[0, 3:5, 3:5] = 1
    assert [part.tolist() for part in local_maxima(maps, 2, 0.1)] == [[0], [3], [3]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_no_maximum_and_hides_none(value: float) -> None:
    maps = np.zeros((2, 8, 8), np.float32)
    maps[:, 2, 2] = 0.9
    maps[0, 3, 3] = value
    index, y, x = local_maxima(maps, 2, 0.1)
    assert (index.tolist(), y.tolist(), x.tolist()) == ([0, 1], [2, 2], [2, 2])


def test_nothing_above_the_threshold() -> None:
    maps = np.full((2, 4, 4), 0.1, np.float32)
    assert all(len(part) == 0 for part in local_maxima(maps, 1, np.float32(0.1)))
