"""Ghost module: half of the features from a convolution, half from a cheap operation on those.

Han et al., "GhostNet: More Features from Cheap Operations" (CVPR 2020,
https://arxiv.org/abs/1911.11907).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from training.models.blocks_base import EXPANSION, normalised, plain_conv


class GhostModule(nn.Module):
    """1×1 convolution to half of the channels, 3×3 depthwise for the other half, no biases.

    (N, channels, H, W) -> (N, channels, H, W), never negative: each half is normalised and
    rectified.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.primary = nn.Sequential(*normalised(nn.Conv2d(channels, half, 1, bias=False), half))
        cheap = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.cheap = nn.Sequential(*normalised(cheap, half))

    def forward(self, x: Tensor) -> Tensor:
        """Return the intrinsic features and their ghosts."""
        intrinsic = self.primary(x)
        return torch.cat([intrinsic, self.cheap(intrinsic)], dim=1)


def ghost_body(in_channels: int, planes: int) -> nn.Sequential:
    """Return the bottleneck's body with a Ghost module in the place of (BN, ReLU, 3×3).

    Raises:
        UsageError: `planes` is odd.
    """
    if planes % 2:
        raise UsageError(f"block 'ghost': found {planes} planes, expected an even number")
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        plain_conv(in_channels, planes, 1),
        GhostModule(planes),
        nn.BatchNorm2d(planes),
        nn.ReLU(inplace=True),
        plain_conv(planes, EXPANSION * planes, 1),
    )
