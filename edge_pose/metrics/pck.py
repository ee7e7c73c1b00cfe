"""Percentage of correct keypoints, by head box (MPII) or by torso (LSP, FLIC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import KeypointFormat

AUC_STEP = 0.01
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
# LSP's published tables count the neck as head (FLIC's have rows of the table above only).
LSP_GROUPS = {**GROUPS, "head": ("upper_neck", "head_top")}
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
        auc: area under the curve of `mean14` over the thresholds 0, 0.01 … that of the
            measurement, in percent of the whole area (trapezium rule, MPII's evaluation code).
    """

    per_joint: dict[str, float]
    per_group: dict[str, float]
    mean14: float
    mean12: float
    n_persons: int
    auc: float


def pck(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    unit_px: NDArray[np.floating],
    present: NDArray[np.bool_],
    keypoint_format: KeypointFormat,
    threshold: float = 0.5,
    groups: Mapping[str, tuple[str, ...]] | None = None,
) -> PckResult:
    """Measure the share of keypoints that lie within `threshold` units of the truth.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        unit_px: (N,) length of the unit per person: head size for PCKh, torso for PCK.
        present: (N, K) True where the joint is annotated.
        keypoint_format: names of the K keypoints.
        threshold: 0.5 for PCKh@0.5, 0.2 for PCK@0.2.
        groups: rows of the table; None: LSP_GROUPS for "lsp14", else GROUPS.

    Raises:
        ValueError: the arrays' shapes do not fit together.
    """
    n, k = present.shape
    if predicted.shape != (n, k, 2) or truth.shape != (n, k, 2) or unit_px.shape != (n,):
        shapes = f"{predicted.shape}, {truth.shape}, {unit_px.shape}, {present.shape}"
        raise ValueError(f"pck: shapes {shapes} do not fit (N, K, 2), (N, K, 2), (N,), (N, K)")
    distance = np.linalg.norm(predicted - truth, axis=2) / unit_px[:, None]
    if groups is None:
        groups = LSP_GROUPS if keypoint_format.name == "lsp14" else GROUPS
    steps = max(1, round(threshold / AUC_STEP))
    curve = [
        _per_joint(distance, present, threshold * step / steps, keypoint_format)
        for step in range(steps + 1)
    ]
    per_joint = curve[-1]
    heights = [_mean(rates, MEAN14) for rates in curve]
    return PckResult(
        per_joint=per_joint,
        per_group={name: _mean(per_joint, joints) for name, joints in groups.items()},
        mean14=heights[-1],
        mean12=_mean(per_joint, MEAN12),
        n_persons=n,
        auc=(sum(heights) - (heights[0] + heights[-1]) / 2) / steps,
    )


def _per_joint(
    distance: NDArray[np.floating],
    present: NDArray[np.bool_],
    threshold: float,
    keypoint_format: KeypointFormat,
) -> dict[str, float]:
    correct = ((distance <= threshold) & present).sum(axis=0)
    count = present.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(count > 0, 100.0 * correct / count, np.nan)
    return {name: float(rate[i]) for i, name in enumerate(keypoint_format.keypoints)}


def _mean(per_joint: dict[str, float], names: tuple[str, ...]) -> float:
    values = [per_joint[name] for name in names if name in per_joint]
    values = [value for value in values if not np.isnan(value)]
    return float(np.mean(values)) if values else float("nan")
