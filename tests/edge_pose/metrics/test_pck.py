from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.metrics.pck import GROUPS, LIMB_GROUPS, MEAN12, MEAN14, pck
from edge_pose.skeleton import COCO17, MPII16

ORACLE = Path(__file__).parents[2] / "fixtures" / "pckh_oracle.npz"

# Last row of Table 1 of https://arxiv.org/abs/2302.04815 without the perceptual loss.
PUBLISHED = {
    "head": "58.36",
    "shoulder": "69.40",
    "elbow": "68.45",
    "wrist": "63.64",
    "hip": "73.52",
    "knee": "49.10",
    "ankle": "27.19",
}


def persons(
    n: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return perfect predictions, the truth, units of 10 px and presence of n persons."""
    truth = np.random.default_rng(0).uniform(0, 500, (n, 16, 2)).round()
    return truth.copy(), truth, np.full(n, 10.0), np.ones((n, 16), bool)


def test_pckh_gives_the_published_row_for_the_published_predictions() -> None:
    with np.load(ORACLE) as oracle:
        result = pck(
            oracle["preds"].astype(np.float32),
            oracle["gt"],
            oracle["head"],
            ~oracle["missing"],
            MPII16,
            threshold=0.5,
        )
    assert {name: f"{result.per_group[name]:.2f}" for name in GROUPS} == PUBLISHED
    assert f"{result.mean14:.2f}" == "59.59"
    assert result.n_persons == 2958


def test_the_means_take_each_joint_once() -> None:
    assert len(set(MEAN14)) == len(MEAN14) == 14
    assert set(MPII16.keypoints) - set(MEAN14) == {"pelvis", "thorax"}
    assert set(MEAN12) == {j for g in LIMB_GROUPS for j in GROUPS[g]}
    assert len(MEAN12) == 12


def test_a_distance_of_exactly_the_threshold_is_correct() -> None:
    predicted, truth, unit, present = persons(2)
    knee = MPII16.index("left_knee")
    predicted[0, knee] += (3.0, 4.0)  # 5 px = 0.5 units
    predicted[1, knee] += (5.001, 0.0)
    result = pck(predicted, truth, unit, present, MPII16)
    assert result.per_joint["left_knee"] == 50.0
    assert result.per_group["knee"] == 75.0
    assert result.mean14 == pytest.approx(100 - 50 / 14)
    assert result.mean12 == pytest.approx(100 - 50 / 12)


def test_the_unit_is_each_persons_own() -> None:
    predicted, truth, unit, present = persons(2)
    predicted[:, :, 0] += 8.0
    unit[:] = (10.0, 20.0)
    assert pck(predicted, truth, unit, present, MPII16).mean14 == 50.0
    assert pck(predicted, truth, unit, present, MPII16, threshold=0.2).mean14 == 0.0
    assert pck(predicted, truth, unit, present, MPII16, threshold=0.8).mean14 == 100.0


def test_missing_joints_are_left_out_of_both_counts() -> None:
    predicted, truth, unit, present = persons(4)
    wrist = MPII16.index("right_wrist")
    present[:2, wrist] = False
    predicted[1:3, wrist] += 100.0  # one right and one wrong among each two
    result = pck(predicted, truth, unit, present, MPII16)
    assert result.per_joint["right_wrist"] == 50.0
    assert result.per_group["wrist"] == 75.0
    assert result.n_persons == 4


def test_a_joint_that_nobody_has_is_nan_and_not_in_the_means() -> None:
    predicted, truth, unit, present = persons(3)
    present[:, MPII16.index("right_hip")] = False
    present[:, MPII16.index("head_top")] = False
    predicted[:, MPII16.index("left_hip")] += 100.0
    result = pck(predicted, truth, unit, present, MPII16)
    assert math.isnan(result.per_joint["right_hip"])
    assert math.isnan(result.per_group["head"])
    assert result.per_group["hip"] == 0.0
    assert result.mean14 == pytest.approx(100 * 11 / 12)
    assert result.mean12 == pytest.approx(100 * 10 / 11)


def test_nobody_at_all_is_nan() -> None:
    result = pck(*persons(0), MPII16)
    assert result.n_persons == 0
    assert math.isnan(result.mean14)
    assert all(math.isnan(value) for value in result.per_joint.values())


def test_a_format_without_a_head_top_has_no_head_figure() -> None:
    truth = np.zeros((2, 17, 2))
    result = pck(truth, truth, np.ones(2), np.ones((2, 17), bool), COCO17)
    assert math.isnan(result.per_group["head"])
    assert result.per_group["ankle"] == result.mean12 == 100.0


def test_a_prediction_that_is_not_a_number_is_wrong() -> None:
    predicted, truth, unit, present = persons(1)
    predicted[0, MPII16.index("left_elbow")] = np.nan
    assert pck(predicted, truth, unit, present, MPII16).per_group["elbow"] == 50.0


@pytest.mark.parametrize("broken", range(4))
def test_shapes_that_do_not_fit_are_named(broken: int) -> None:
    arrays = list(persons(3))
    arrays[broken] = arrays[broken][:, :-1] if broken != 2 else arrays[broken][:-1]
    with pytest.raises(ValueError, match=r"pck: shapes \(3, 1[56], 2\).* do not fit"):
        pck(*arrays, MPII16)  # type: ignore[arg-type]
