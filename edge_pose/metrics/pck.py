"""Percentage of correct keypoints, by head box (MPII) or by torso (LSP, FLIC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import KeypointFormat

HEAD_BOX_FACTOR = 0.6
"""PCKh's unit is 0.6 times the diagonal of the head box (MPII's evaluation code)."""

# Rows of the published MPII tables. The mean is taken over the fourteen joints below: the benchmark
# leaves pelvis and thorax out.
GROUPS: dict[str, tuple[str, ...]] = {
    "head": ("head_top",),
    "shoulder": ("right_shoulder", "left_shoulder"),
    "elbow": ("right_elbow", "left_elbow"),
    "wrist": ("right_wrist", "left_wrist"),
    "hip": ("right_hip", "left_hip"),
    "knee": ("right_knee", "left_knee"),
    "ankle": ("right_ankle", "left_ankle"),
}
LIMB_GROUPS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
MEAN14 = ("upper_neck", *(name for names in GROUPS.values() for name in names))
MEAN12 = tuple(name for group in LIMB_GROUPS for name in GROUPS[group])


@dataclass(frozen=True, slots=True)
class PckResult:
    """PCK in percent; NaN where no person has the joint.

    Attributes:
        per_joint: percentage per keypoint name.
        per_group: mean of the joints of each group of the published tables.
        mean14: mean over the fourteen benchmark joints, each joint counting once.
        mean12: mean over shoulders, elbows, wrists, hips, knees and ankles.
        n_persons: persons measured.
    """

    per_joint: dict[str, float]
    per_group: dict[str, float]
    mean14: float
    mean12: float
    n_persons: int


def pck(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    unit_px: NDArray[np.floating],
    present: NDArray[np.bool_],
    keypoint_format: KeypointFormat,
    threshold: float = 0.5,
) -> PckResult:
    """Measure the share of keypoints that lie within `threshold` units of the truth.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        unit_px: (N,) length of the unit per person: head size for PCKh, torso for PCK.
        present: (N, K) True where the joint is annotated.
        keypoint_format: names of the K keypoints.
        threshold: 0.5 for PCKh@0.5, 0.2 for PCK@0.2.

    Raises:
        ValueError: the arrays' shapes do not fit together.
    """
    n, k = present.shape
    if predicted.shape != (n, k, 2) or truth.shape != (n, k, 2) or unit_px.shape != (n,):
        shapes = f"{predicted.shape}, {truth.shape}, {unit_px.shape}, {present.shape}"
        raise ValueError(f"pck: shapes {shapes} do not fit (N, K, 2), (N, K, 2), (N,), (N, K)")
    distance = np.linalg.norm(predicted - truth, axis=2) / unit_px[:, None]
    correct = ((distance <= threshold) & present).sum(axis=0)
    count = present.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(count > 0, 100.0 * correct / count, np.nan)
    per_joint = {name: float(rate[i]) for i, name in enumerate(keypoint_format.keypoints)}
    return PckResult(
        per_joint=per_joint,
        per_group={name: _mean(per_joint, joints) for name, joints in GROUPS.items()},
        mean14=_mean(per_joint, MEAN14),
        mean12=_mean(per_joint, MEAN12),
        n_persons=n,
    )


def _mean(per_joint: dict[str, float], names: tuple[str, ...]) -> float:
    values = [per_joint[name] for name in names if name in per_joint]
    values = [value for value in values if not np.isnan(value)]
    return float(np.mean(values)) if values else float("nan")
