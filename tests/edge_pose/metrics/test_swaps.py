from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.metrics.swaps import SwapCount, count_swaps
from edge_pose.skeleton import COCO17, LSP14, MPII16, KeypointFormat

Arrays = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


def persons(n: int, keypoint_format: KeypointFormat = MPII16) -> Arrays:
    """Return perfect predictions, the truth 100 px apart, units of 10 px and presence."""
    k = len(keypoint_format.keypoints)
    truth = np.stack([np.arange(k) * 100.0, np.zeros(k)], axis=1)[None].repeat(n, axis=0)
    return truth.copy(), truth, np.full(n, 10.0), np.ones((n, k), bool)


def test_swapped_wrists_count_twice_and_one_once() -> None:
    predicted, truth, unit, present = persons(4)
    left, right = MPII16.index("left_wrist"), MPII16.index("right_wrist")
    predicted[0, [left, right]] = truth[0, [right, left]]
    predicted[1, left] = truth[1, right]
    result = count_swaps(predicted, truth, unit, present, MPII16)
    assert result.per_pair["wrist"] == SwapCount(3, 8)
    assert result.per_pair["wrist"].rate == 37.5
    assert [name for name, count in result.per_pair.items() if count.swaps] == ["wrist"]
    assert result.total == SwapCount(3, 6 * 8)
    assert result.total.rate == pytest.approx(6.25)


def test_elsewhere_is_wrong_but_not_swapped() -> None:
    predicted, truth, unit, present = persons(1)
    predicted[0, MPII16.index("left_knee")] = truth[0, MPII16.index("right_hip")]
    predicted[0, MPII16.index("left_elbow")] = np.nan
    assert count_swaps(predicted, truth, unit, present, MPII16).total.swaps == 0


def test_the_threshold_belongs_to_the_correct_side() -> None:
    predicted, truth, unit, present = persons(3)
    left, right = MPII16.index("left_ankle"), MPII16.index("right_ankle")
    predicted[0, left] = truth[0, right] + (3, 4)  # exactly 0.5 units from the partner
    predicted[1, left] = truth[1, right] + (3, 4.1)
    # Both within reach: exactly 0.5 units from its own, hence correct.
    truth[2, right] = truth[2, left] + (5, 0)
    predicted[2, left] = truth[2, right]
    predicted[2, right] = truth[2, right]
    result = count_swaps(predicted, truth, unit, present, MPII16)
    assert result.per_pair["ankle"] == SwapCount(1, 6)
    assert count_swaps(predicted, truth, unit, present, MPII16, 0.51).per_pair["ankle"].swaps == 2
    assert count_swaps(predicted, truth, unit / 4, present, MPII16).per_pair["ankle"].swaps == 1


def test_both_of_a_pair_must_be_annotated() -> None:
    predicted, truth, unit, present = persons(2)
    left, right = MPII16.index("left_hip"), MPII16.index("right_hip")
    predicted[:, left] = truth[:, right]
    present[0, right] = False
    assert count_swaps(predicted, truth, unit, present, MPII16).per_pair["hip"] == SwapCount(1, 2)
    present[1, left] = False
    result = count_swaps(predicted, truth, unit, present, MPII16)
    assert result.per_pair["hip"] == SwapCount(0, 0)
    assert math.isnan(result.per_pair["hip"].rate)


@pytest.mark.parametrize(
    ("keypoint_format", "names"),
    [
        (LSP14, {"ankle", "knee", "hip", "wrist", "elbow", "shoulder"}),
        (COCO17, {"eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"}),
    ],
)
def test_every_pair_has_its_name(keypoint_format: KeypointFormat, names: set[str]) -> None:
    result = count_swaps(*persons(1, keypoint_format), keypoint_format)
    assert set(result.per_pair) == names
    assert result.total == SwapCount(0, 2 * len(names))


def test_shapes_that_do_not_fit_are_named() -> None:
    predicted, truth, unit, present = persons(2)
    with pytest.raises(ValueError, match=r"swaps: shapes \(2, 15, 2\).* do not fit"):
        count_swaps(predicted[:, 1:], truth, unit, present, MPII16)
