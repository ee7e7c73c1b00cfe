from __future__ import annotations

import numpy as np
import pytest

from converters.damage import PICTURES, relative_error, spread, worst_first


@pytest.mark.parametrize(
    ("count", "expected"), [(4, [0, 1, 2, 3]), (10, [0, 3, 6, 9]), (2, [0, 0, 1, 1])]
)
def test_pictures_are_evenly_spread(count: int, expected: list[int]) -> None:
    assert spread(count) == expected
    assert len(expected) == PICTURES


def test_the_error_is_relative_to_the_outputs_own_variance() -> None:
    rng = np.random.default_rng(0)
    picture = [rng.normal(5, 2, (1, 3, 8, 8)), rng.normal(0, 90, (1, 7))]
    constant = [np.full_like(output, output.mean()) for output in picture]
    half = [picture[0], constant[1]]
    found = relative_error([picture] * 3, [picture, constant, half])
    np.testing.assert_allclose(found, [0.0, 1.0, 0.5], atol=1e-6)
    scaled = [1000 * output for output in picture]
    np.testing.assert_allclose(relative_error([scaled], [[1000 * o for o in half]]), [0.5])


def test_layers_come_worst_first_and_are_counted() -> None:
    damage = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.5}
    ticks: list[tuple[int, int]] = []
    found = worst_first(iter(damage), damage.__getitem__, lambda *step: ticks.append(step))
    assert found == ("b", "c", "d", "a")
    assert ticks == [(done, 4) for done in range(5)]
