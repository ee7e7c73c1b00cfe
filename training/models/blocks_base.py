"""What the residual blocks have in common: convolutions, shortcut, order of normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from training.models.dilated_depthwise import DilatedDepthwiseConv2d

EXPANSION = 2
"""Output channels of a block over its `planes`."""

ConvBuilder: TypeAlias = Callable[[int, int, int], nn.Module]
"""(in_channels, out_channels, kernel) -> a convolution that keeps the height and width."""


def plain_conv(in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    """Return a biased convolution."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


def separable_conv(in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    """Return a 3×3 depthwise and a pointwise convolution, both biased, nothing in between.

    The size is 3×3 whatever `kernel` says: "fully separable" turns the 1×1 convolutions into 3×3
    depthwise ones too, which is what the published parameter count requires.
    """
    del kernel
    return dilated_separable_conv(in_channels, out_channels, 1)


def dilated_separable_conv(in_channels: int, out_channels: int, dilation: int) -> nn.Sequential:
    """Return a 3×3 depthwise and a pointwise convolution, both biased, nothing in between."""
    return nn.Sequential(
        DilatedDepthwiseConv2d(in_channels, dilation),
        nn.Conv2d(in_channels, out_channels, 1),
    )


def normalised(conv: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    """Return a convolution with `channels` outputs, batch normalisation and ReLU."""
    return conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


def shortcut(in_channels: int, out_channels: int) -> nn.Module:
    """Return the identity where the channels agree, else a biased 1×1 without normalisation."""
    if in_channels == out_channels:
        return nn.Identity()
    return nn.Conv2d(in_channels, out_channels, 1)


class Residual(nn.Module):
    """A body plus a shortcut: (N, in_channels, H, W) -> (N, 2·planes, H, W)."""

    def __init__(self, in_channels: int, planes: int, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut(in_channels, EXPANSION * planes)

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


class Bottleneck(Residual):
    """Pre-activation bottleneck: (BN, ReLU, conv) with 1×1, 3×3 and 1×1, plus a shortcut."""

    def __init__(self, in_channels: int, planes: int, conv: ConvBuilder) -> None:
        body = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            conv(in_channels, planes, 1),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            conv(planes, planes, 3),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            conv(planes, EXPANSION * planes, 1),
        )
        super().__init__(in_channels, planes, body)


class PostActivation(Residual):
    """A body that ends in batch normalisation, plus a shortcut, then ReLU: never negative."""

    def __init__(self, in_channels: int, planes: int, body: nn.Module) -> None:
        super().__init__(in_channels, planes, body)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(body(x) + shortcut(x))."""
        out: Tensor = self.relu(super().forward(x))
        return out
