"""Training targets from keypoints."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_targets(
    keypoints: Tensor, stride: int, size: tuple[int, int], sigma: float
) -> tuple[Tensor, Tensor]:
    """Draw one Gaussian of height 1 per keypoint.

    Args:
        keypoints: (N, K, 2) float, input px.
        stride: input px per heatmap px.
        size: (w, h) of the heatmaps.
        sigma: standard deviation, heatmap px.

    Returns:
        heatmaps (N, K, h, w), and inside (N, K) bool: the keypoint lies within the picture.
    """
    width, height = size
    heat = (keypoints + 0.5) / stride - 0.5
    x, y = heat[..., 0], heat[..., 1]
    columns = torch.arange(width, dtype=heat.dtype, device=heat.device)
    rows = torch.arange(height, dtype=heat.dtype, device=heat.device)
    gx = torch.exp(-((columns - x[..., None]) ** 2) / (2 * sigma**2))
    gy = torch.exp(-((rows - y[..., None]) ** 2) / (2 * sigma**2))
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    return gy[..., :, None] * gx[..., None, :], inside
