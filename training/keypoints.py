"""Between MPII's sixteen joints, which the data sets give, and a network's keypoint format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def from_mpii(keypoints: KeypointFormat) -> tuple[Indices, Mask]:
    """Return for each keypoint its MPII joint, and whether there is one; else the index is 0."""
    columns = [_find(MPII16.keypoints, name) for name in keypoints.keypoints]
    return np.maximum(columns, 0), np.array(columns) >= 0


def to_mpii(predicted: FloatArray, keypoints: KeypointFormat) -> tuple[FloatArray, Mask]:
    """Return (N, 16, 2) of (N, K, 2) predictions, and (16,) which of the joints they have."""
    columns = np.array([_find(keypoints.keypoints, name) for name in MPII16.keypoints])
    return predicted[:, np.maximum(columns, 0)], columns >= 0


def mirror(keypoints: KeypointFormat) -> Indices:
    """Return for each keypoint its partner on the other side, itself where it has none."""
    partner = np.arange(len(keypoints.keypoints))
    for left, right in keypoints.flip_pairs:
        partner[[left, right]] = right, left
    return partner


def _find(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1
