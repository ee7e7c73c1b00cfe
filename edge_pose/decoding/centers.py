"""Boxes from centre-point maps.

Zhou et al., "Objects as Points", 2019 (https://arxiv.org/abs/1904.07850): a person is a peak in a
map of centres; its box is read at the peak.
"""

from __future__ import annotations

import numpy as np

from edge_pose.decoding.peaks import local_maxima
from edge_pose.errors import ArtifactError
from edge_pose.types import FloatArray

NMS_RADIUS = 1  # heatmap px: a window of 3×3
CHANNELS = 5


def decode_centers(
    maps: FloatArray, stride: float, *, threshold: float = 0.3, max_boxes: int = 100
) -> tuple[FloatArray, FloatArray]:
    """Find the boxes of one picture.

    Args:
        maps: (5, h, w) float32: logits of the centre; offset x, y in heatmap px from the centre of
            its px (x_heat = column + offset); width and height of the box in heatmap px.
        stride: input px per heatmap px.
        threshold: boxes with a lower score are left out, in [0, 1].
        max_boxes: at most so many, the best ones.

    Returns:
        boxes (M, 4) float32, x1, y1, x2, y2 in input px, clipped to the input, which reaches from
        -0.5 to its size - 0.5; scores (M,) float32 in [0, 1], best first. Empty arrays where
        nobody is.

    Raises:
        ArtifactError: `maps` has another shape.
    """
    if maps.ndim != 3 or len(maps) != CHANNELS:
        raise ArtifactError(f"centre maps: found shape {maps.shape}, expected (5, h, w)")
    height, width = maps.shape[1:]
    _, y, x = local_maxima(maps[:1], NMS_RADIUS, -np.inf)
    values = maps[:, y, x].astype(np.float64).T  # (peaks, 5)
    sound = np.isfinite(values).all(axis=1)
    y, x, values = y[sound], x[sound], values[sound]
    scores = 0.5 * (1 + np.tanh(values[:, 0] / 2))  # a sigmoid that cannot overflow
    center = np.stack([x, y], axis=1) + values[:, 1:3]
    half = np.maximum(values[:, 3:], 0) / 2
    corners = (np.concatenate([center - half, center + half], axis=1) + 0.5) * stride - 0.5
    limit = np.array([width, height, width, height]) * stride - 0.5
    boxes = corners.clip(-0.5, limit)
    visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = np.flatnonzero(visible & (scores >= threshold))
    kept = kept[np.argsort(-scores[kept], kind="stable")[:max_boxes]]
    return boxes[kept].astype(np.float32), scores[kept].astype(np.float32)
