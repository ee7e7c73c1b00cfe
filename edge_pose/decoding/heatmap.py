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

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
    rows = n * k
    flat = heatmaps.reshape(rows, height * width)
    best = flat.argmax(axis=1)
    start = np.arange(0, rows * height * width, height * width)
    peak = flat.ravel().take(start + best)
    mass = np.exp(flat - peak[:, None]) if kind == "logits" else np.maximum(flat, 0.0)
    table = _windows(height, width, radius)
    window = mass.ravel().take(start[:, None] + table.index[best])  # (NK, (2r+1)²)
    in_window = np.einsum("ij,ij->i", window, table.inside[best])
    scores = in_window / mass.sum(axis=1) if kind == "logits" else peak
    moments = (window * table.even[best]) @ table.moments  # sum, sum of dx, sum of dy
    shift = moments[:, 1:] / np.maximum(moments[:, :1], np.finfo(np.float32).tiny)
    # Heatmap px i covers input px [i*stride, (i+1)*stride): its centre is (i+0.5)*stride-0.5.
    keypoints = (table.center[best] + shift + 0.5) * stride - 0.5
    return (
        keypoints.reshape(n, k, 2).astype(np.float32),
        scores.clip(0.0, 1.0).reshape(n, k).astype(np.float32),
    )


def split_keypoints(decoded: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return keypoints and scores, as `decode_heatmaps` does, of a graph that decodes itself.

    Args:
        decoded: (N, K, 3) float32: x and y in input px, and the score.

    Raises:
        ArtifactError: it has another shape.
    """
    if decoded.ndim != 3 or decoded.shape[2] != 3:
        raise ArtifactError(f"decoded keypoints: found shape {decoded.shape}, expected (N, K, 3)")
    return decoded[..., :2], decoded[..., 2].clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Windows:
    """What depends on the place of a peak alone, one row per heatmap px.

    Frames are decoded one by one right after an inference, with cold caches: then a dozen small
    calls cost more than the arithmetic, and looking things up is a third of that.
    """

    index: NDArray[np.intp]  # (H*W, (2r+1)²) flat px of the window, clipped to the heatmap
    inside: FloatArray  # (H*W, (2r+1)²) 1 where the window's px lies in the heatmap
    even: FloatArray  # the same, where its mirror image about the peak does so, too
    center: FloatArray  # (H*W, 2) x, y of the px
    moments: FloatArray  # ((2r+1)², 3) columns 1, dx, dy


@lru_cache(maxsize=8)
def _windows(height: int, width: int, radius: int) -> _Windows:
    y, x = np.divmod(np.arange(height * width), width)
    offsets = np.arange(-radius, radius + 1)
    ys, xs = y[:, None] + offsets, x[:, None] + offsets
    inside_y, inside_x = (ys >= 0) & (ys < height), (xs >= 0) & (xs < width)
    both_y, both_x = inside_y & inside_y[:, ::-1], inside_x & inside_x[:, ::-1]

    def grid(rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> FloatArray:
        joined = rows[:, :, None] & columns[:, None, :]
        return joined.reshape(height * width, -1).astype(np.float32)

    index = ys.clip(0, height - 1)[:, :, None] * width + xs.clip(0, width - 1)[:, None, :]
    dy, dx = np.meshgrid(offsets, offsets, indexing="ij")
    return _Windows(
        index.reshape(height * width, -1),
        grid(inside_y, inside_x),
        grid(both_y, both_x),
        np.stack([x, y], axis=1).astype(np.float32),
        np.stack([np.ones(dx.size), dx.ravel(), dy.ravel()], axis=1).astype(np.float32),
    )
