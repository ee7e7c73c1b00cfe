"""The figure of merit, by hand."""

from __future__ import annotations

import pytest

from edge_pose.metrics.merit import weighted_mean


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((50.0, 200.0, 4.0), 0.0),
        ((60.0, 200.0, 4.0), 0.8 * 20.0),
        ((50.0, 100.0, 4.0), 0.1 * 50.0),
        ((50.0, 200.0, 6.0), -0.1 * 50.0),
        ((45.0, 400.0, 2.0), -8.0 - 10.0 + 5.0),
    ],
)
def test_relative_to_a_base(figures: tuple[float, float, float], expected: float) -> None:
    assert weighted_mean(*figures, (50.0, 200.0, 4.0)) == pytest.approx(expected)
