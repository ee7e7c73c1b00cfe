"""Residual blocks of the hourglass family and the table that names them.

The bottleneck is that of He et al., "Identity Mappings in Deep Residual Networks" (ECCV 2016), as
Newell et al. use it (https://arxiv.org/abs/1603.06937); the separable one that of Hassan and Al
Khatib, "To Perceive or Not to Perceive" (https://arxiv.org/abs/2302.04815), sections 2.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

EXPANSION = 2
"""Output channels of a bottleneck over its `planes`."""

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
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels),
        nn.Conv2d(in_channels, out_channels, 1),
    )


class Bottleneck(nn.Module):
    """Pre-activation bottleneck: (BN, ReLU, conv) with 1×1, 3×3 and 1×1, plus a shortcut.

    (N, in_channels, H, W) -> (N, 2·planes, H, W). The shortcut is the identity where the channels
    agree, else a biased 1×1 without normalisation.
    """

    def __init__(self, in_channels: int, planes: int, conv: ConvBuilder) -> None:
        super().__init__()
        out_channels = EXPANSION * planes
        self.body = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            conv(in_channels, planes, 1),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            conv(planes, planes, 3),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            conv(planes, out_channels, 1),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def residual(in_channels: int, planes: int) -> nn.Module:
    """Return the baseline's block."""
    return Bottleneck(in_channels, planes, plain_conv)


def separable(in_channels: int, planes: int) -> nn.Module:
    """Return the block whose three convolutions are all 3×3 depthwise separable."""
    return Bottleneck(in_channels, planes, separable_conv)


BlockBuilder: TypeAlias = Callable[[int, int], nn.Module]
"""(in_channels, planes) -> module (N, in_channels, H, W) -> (N, 2·planes, H, W)."""

BLOCKS: dict[str, BlockBuilder] = {
    "residual": residual,
    "separable": separable,
}
