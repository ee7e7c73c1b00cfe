"""Bodies of dilated convolutions: a pair in a row, or three in parallel.

The parallel form is that of Kim and Lee, "Lightweight Stacked Hourglass Network for Human Pose
Estimation" (Applied Sciences 2020, https://doi.org/10.3390/app10186497). All of them end in batch
normalisation, for `PostActivation`.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.models.blocks_base import (
    EXPANSION,
    dilated_separable_conv,
    normalised,
    plain_conv,
)

PAIR_DILATION = 2
PARALLEL_DILATIONS = (1, 2, 3)


def dilated_pair(in_channels: int, planes: int) -> nn.Sequential:
    """Return 3×3, BN, ReLU, 3×3, BN without biases."""

    def conv(conv_in: int, conv_out: int) -> nn.Module:
        d = PAIR_DILATION
        return nn.Conv2d(conv_in, conv_out, 3, padding=d, dilation=d, bias=False)

    out_channels = EXPANSION * planes
    return nn.Sequential(
        *normalised(conv(in_channels, planes), planes),
        conv(planes, out_channels),
        nn.BatchNorm2d(out_channels),
    )


def separable_dilated_pair(in_channels: int, planes: int) -> nn.Sequential:
    """Return the same of depthwise separable convolutions, all biased."""
    out_channels = EXPANSION * planes
    return nn.Sequential(
        *normalised(dilated_separable_conv(in_channels, planes, PAIR_DILATION), planes),
        dilated_separable_conv(planes, out_channels, PAIR_DILATION),
        nn.BatchNorm2d(out_channels),
    )


class ParallelDilations(nn.Module):
    """Sum of separable 3×3 convolutions of several dilations, each normalised and rectified."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*normalised(dilated_separable_conv(channels, channels, d), channels))
            for d in PARALLEL_DILATIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        first, *others = self.branches
        total: Tensor = first(x)
        for branch in others:
            total = total + branch(x)
        return total


def multi_dilation(in_channels: int, planes: int) -> nn.Sequential:
    """Return the parallel convolutions between two biased 1×1 ones."""
    out_channels = EXPANSION * planes
    return nn.Sequential(
        *normalised(plain_conv(in_channels, planes, 1), planes),
        ParallelDilations(planes),
        plain_conv(planes, out_channels, 1),
        nn.BatchNorm2d(out_channels),
    )
