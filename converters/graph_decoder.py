"""The decoder of single-person heatmaps as part of a graph, for runtimes that gain from it.

It does what `edge_pose.decoding.heatmap.decode_heatmaps` does, in operators that every format has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_pose.decoding.heatmap import WINDOW_RADIUS


class HeatmapDecoder(nn.Module):
    """(N, K, H, W) heatmaps -> (N, K, 3): x, y in input px and a score in [0, 1].

    The window around the peak is cut out by a mask instead of by indices: gathering at places that
    the data decide is what runtimes lack or are slow at.

    Args:
        stride: input px per heatmap px.
        kind: "logits" or "gaussian".
    """

    def __init__(self, stride: int, kind: str) -> None:
        super().__init__()
        self.stride, self.logits = stride, kind == "logits"

    def forward(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Decode the only member of `outputs`."""
        (heatmaps,) = outputs
        n, k, height, width = heatmaps.shape
        flat = heatmaps.reshape(n, k, height * width)
        peak = flat.amax(dim=2, keepdim=True)
        best = flat.argmax(dim=2, keepdim=True)
        mass = (flat - peak).exp() if self.logits else flat.clamp(min=0)
        index = torch.arange(height * width).view(1, 1, -1)
        dx = (index % width - best % width).float()
        dy = (index // width - best // width).float()
        inside = ((dx.abs() <= WINDOW_RADIUS) & (dy.abs() <= WINDOW_RADIUS)).float()
        window = mass * inside
        # At a border only what lies on both sides of the peak counts for the position.
        column, row = (best % width).float(), (best // width).float()
        reach_x = torch.minimum(column, width - 1 - column).clamp(max=WINDOW_RADIUS)
        reach_y = torch.minimum(row, height - 1 - row).clamp(max=WINDOW_RADIUS)
        even = window * ((dx.abs() <= reach_x) & (dy.abs() <= reach_y)).float()
        weight = even.sum(dim=2).clamp(min=torch.finfo(torch.float32).tiny)
        x = column[..., 0] + (even * dx).sum(dim=2) / weight
        y = row[..., 0] + (even * dy).sum(dim=2) / weight
        score = window.sum(dim=2) / mass.sum(dim=2) if self.logits else peak[..., 0]
        place = (torch.stack([x, y], dim=2) + 0.5) * self.stride - 0.5
        return (torch.cat([place, score.clamp(0, 1)[..., None]], dim=2),)
