"""ShuffleNet's unit: grouped 1×1 convolutions and a channel shuffle between them.

Zhang et al., "ShuffleNet" (CVPR 2018, https://arxiv.org/abs/1707.01083). The count that Hassan and
Al Khatib print is not met by any grouping we know; groups of 4 and 8 come nearest to it.
"""

from __future__ import annotations

from math import ceil, gcd

import torch.nn.functional as F
from torch import Tensor, nn

from training.models.blocks_base import EXPANSION, normalised, shortcut

GROUPS = (4, 8)
"""Of the first and of the last convolution, fewer where the channels do not divide."""


class ChannelShuffle(nn.Module):
    """Deal the channels of every group out to all groups. Tensors stay four-dimensional."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W): channel g·C/groups + i moves to i·groups + g."""
        batch, channels, height, width = x.shape
        grouped = x.reshape(batch, self.groups, channels // self.groups, height * width)
        return grouped.transpose(1, 2).reshape(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    """(N, in_channels, H, W) -> (N, 2·planes, H, W), never negative.

    Args:
        in_channels: channels of the input.
        planes: half of the output's channels; the middle has half of that, rounded up to a
            multiple of the groups.
    """

    def __init__(self, in_channels: int, planes: int) -> None:
        super().__init__()
        out_channels = EXPANSION * planes
        middle = ceil(planes / 2 / max(GROUPS)) * max(GROUPS)
        first, last = gcd(GROUPS[0], in_channels), gcd(GROUPS[1], out_channels)
        self.body = nn.Sequential(
            *normalised(nn.Conv2d(in_channels, middle, 1, groups=first), middle),
            ChannelShuffle(first),
            nn.Conv2d(middle, middle, 3, padding=1, groups=middle),
            nn.BatchNorm2d(middle),
            nn.Conv2d(middle, out_channels, 1, groups=last),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = shortcut(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(body(x) + shortcut(x)); the functional ReLU is free in the paper's count."""
        return F.relu(self.body(x) + self.shortcut(x))
