"""Keypoints from heatmaps: peak, confidence and sub-pixel position.

Two kinds of heatmap are in use and the manifest names which:

- "logits": the network was trained with a spatial softmax per keypoint. The score of a keypoint is
  the probability mass in a window around the peak; the position is the mean of that mass (a local
  soft-argmax, after Sun et al., "Integral Human Pose Regression", ECCV 2018).
- "gaussian": the network was trained by mean squared error against Gaussian bumps of height 1. The
  score is the height of the peak; the position is the centre of mass of the window.

At the border of a heatmap the window loses one side. The position is then taken from what is left
on both sides of the peak: a one-sided mean would pull it inwards by up to a heatmap px.
"""

from __future__ import annotations

import numpy as np

from edge_pose.errors import ArtifactError
from edge_pose.types import FloatArray

KINDS = ("logits", "gaussian")
WINDOW_RADIUS = 3  # heatmap px; covers two standard deviations of the usual training target


def decode_heatmaps(
    heatmaps: FloatArray, stride: float, kind: str = "logits", radius: int = WINDOW_RADIUS
) -> tuple[FloatArray, FloatArray]:
    """Find one position per heatmap.

    Args:
        heatmaps: (N, K, H, W) float32.
        stride: input px per heatmap px.
        kind: "logits" or "gaussian", see the module's docstring.
        radius: half width of the window around the peak, heatmap px.

    Returns:
        keypoints (N, K, 2) float32 in input px, scores (N, K) float32 in [0, 1].

    Raises:
        ArtifactError: the heatmaps have another rank or the kind is unknown.
    """
    if heatmaps.ndim != 4:
        message = f"heatmaps: found shape {heatmaps.shape}, expected (N, K, H, W)"
        raise ArtifactError(message)
    if kind not in KINDS:
        raise ArtifactError(f"heatmap kind '{kind}': expected one of {', '.join(KINDS)}")
    n, k, height, width = heatmaps.shape
    flat = heatmaps.reshape(n * k, height * width)
    best = flat.argmax(axis=1)
    peak = np.take_along_axis(flat, best[:, None], axis=1)
    if kind == "logits":
        mass = np.exp(flat - peak)
        total = mass.sum(axis=1)
    else:
        mass = np.maximum(flat, 0.0)
        total = np.ones(n * k, np.float32)
    y, x = np.divmod(best, width)
    offsets = np.arange(-radius, radius + 1)
    ys, xs = y[:, None] + offsets, x[:, None] + offsets  # (NK, 2r+1) each
    inside_y, inside_x = (ys >= 0) & (ys < height), (xs >= 0) & (xs < width)
    index = ys.clip(0, height - 1)[:, :, None] * width + xs.clip(0, width - 1)[:, None, :]
    rows = np.arange(n * k)[:, None, None]
    window = mass[rows, index] * (inside_y[:, :, None] & inside_x[:, None, :])  # (NK, 2r+1, 2r+1)
    in_window = window.sum(axis=(1, 2))
    both_y, both_x = inside_y & inside_y[:, ::-1], inside_x & inside_x[:, ::-1]
    even = window * (both_y[:, :, None] & both_x[:, None, :])
    norm = np.maximum(even.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
    dx = (even.sum(axis=1) * offsets).sum(axis=1) / norm
    dy = (even.sum(axis=2) * offsets).sum(axis=1) / norm
    heat_xy = np.stack([x + dx, y + dy], axis=1)
    scores = in_window / total if kind == "logits" else peak[:, 0]
    # Heatmap px i covers input px [i*stride, (i+1)*stride): its centre is (i+0.5)*stride-0.5.
    keypoints = (heat_xy + 0.5) * stride - 0.5
    return (
        keypoints.reshape(n, k, 2).astype(np.float32),
        np.clip(scores, 0.0, 1.0).reshape(n, k).astype(np.float32),
    )
