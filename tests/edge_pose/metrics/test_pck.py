from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.metrics.pck import GROUPS, LIMB_GROUPS, LSP_GROUPS, MEAN12, MEAN14, pck
from edge_pose.skeleton import COCO17, LSP14, MPII16

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
    assert math.isnan(result.auc)
    assert all(math.isnan(value) for value in result.per_joint.values())


def test_a_format_without_a_head_top_has_no_head_figure() -> None:
    truth = np.zeros((2, 17, 2))
    result = pck(truth, truth, np.ones(2), np.ones((2, 17), bool), COCO17)
    assert math.isnan(result.per_group["head"])
    assert result.per_group["ankle"] == result.mean12 == 100.0


def test_the_area_under_the_curve_by_hand() -> None:
    predicted, truth, unit, present = persons(1)
    assert pck(predicted, truth, unit, present, MPII16).auc == 100.0
    predicted[0, MPII16.index("left_knee")] += (1.5, 2.0)  # 0.25 units: right from there on
    result = pck(predicted, truth, unit, present, MPII16)
    # 51 thresholds, right at 26 of them: 25 strips of 0.01 and half a one, out of 50.
    assert result.auc == pytest.approx((13 * 100 + 51) / 14)
    assert result.mean14 == 100.0
    # Up to 0.2 it is never right; PCK@0.2 has 20 strips.
    assert pck(predicted, truth, unit, present, MPII16, 0.2).auc == pytest.approx(1300 / 14)
    predicted[0, MPII16.index("left_knee")] = truth[0, MPII16.index("left_knee")] + (0.0, 1.0)
    result = pck(predicted, truth, unit, present, MPII16, 0.2)
    assert result.auc == pytest.approx((1300 + 52.5) / 14)


def test_a_rising_curve_has_the_area_of_its_triangle() -> None:
    predicted, truth, unit, present = persons(50)
    predicted[:, :, 0] += (np.arange(50)[:, None] + 1) / 100 * 9.999  # 0.01, 0.02 … 0.5 units
    result = pck(predicted, truth, unit, present, MPII16)
    assert (result.mean14, result.auc) == (100.0, pytest.approx(50.0))


def test_the_head_of_lsp_is_top_and_neck() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (2, 14, 2))
    predicted = truth.copy()
    predicted[0, LSP14.index("upper_neck")] += 50.0
    arguments = (predicted, truth, np.ones(2), np.ones((2, 14), bool), LSP14, 0.2)
    result = pck(*arguments)
    assert list(result.per_group) == list(GROUPS)
    assert result.per_group["head"] == 75.0
    assert pck(*arguments, groups=GROUPS).per_group["head"] == 100.0
    assert result.mean14 == pytest.approx(100 * 13.5 / 14)


def test_lsp_in_mpiis_joints_and_flics_upper_body() -> None:
    predicted, truth, unit, present = persons(2)
    present[:, [MPII16.index("pelvis"), MPII16.index("thorax")]] = False
    predicted[0, MPII16.index("upper_neck")] += 50.0
    result = pck(predicted, truth, unit, present, MPII16, 0.2, LSP_GROUPS)
    assert result.per_group["head"] == 75.0
    for name in MPII16.keypoints:  # FLIC annotates neither knees nor ankles nor the head's top
        if any(part in name for part in ("knee", "ankle", "head", "neck")):
            present[:, MPII16.index(name)] = False
    predicted[0, MPII16.index("left_elbow")] += 50.0
    result = pck(predicted, truth, unit, present, MPII16, 0.2)
    assert result.per_group["elbow"] == 75.0
    assert result.per_group["wrist"] == 100.0
    assert math.isnan(result.per_group["knee"])
    assert result.mean14 == pytest.approx(100 * 7.5 / 8)


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
