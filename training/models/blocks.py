"""Residual blocks of the hourglass family and the table that names them.

The bottleneck is that of He et al., "Identity Mappings in Deep Residual Networks" (ECCV 2016), as
Newell et al. use it (https://arxiv.org/abs/1603.06937). The others are the rows of Table 1 of
Hassan and Al Khatib, "To Perceive or Not to Perceive" (https://arxiv.org/abs/2302.04815), in the
form that has their parameter counts to the unit; sections 2.1, 3.1 and 3.2 describe them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import nn

from training.models.blocks_base import (
    EXPANSION,
    Bottleneck,
    PostActivation,
    Residual,
    plain_conv,
    separable_conv,
)
from training.models.blocks_dice import DiceUnit
from training.models.blocks_dilated import (
    dilated_pair,
    multi_dilation,
    separable_dilated_pair,
)
from training.models.blocks_ghost import ghost_body
from training.models.blocks_shuffle import ShuffleUnit

BlockBuilder: TypeAlias = Callable[[int, int, int], nn.Module]
"""(in_channels, planes, side) -> module (N, in_channels, H, W) -> (N, 2·planes, H, W).

`side` is the side of the features at a 256-px input. Only DiCE looks at it: its weights belong to
rows and columns. Every block takes any H and W.
"""


def residual(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the baseline's block."""
    del side
    return Bottleneck(in_channels, planes, plain_conv)


def separable(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the block whose three convolutions are all 3×3 depthwise separable."""
    del side
    return Bottleneck(in_channels, planes, separable_conv)


def ghost(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the bottleneck whose 3×3 convolution is a Ghost module.

    Raises:
        UsageError: `planes` is odd.
    """
    del side
    return Residual(in_channels, planes, ghost_body(in_channels, planes))


def shuffle(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return ShuffleNet's unit."""
    del side
    return ShuffleUnit(in_channels, planes)


def dice(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the bottleneck whose 3×3 convolution is a DiCE unit."""

    def conv(conv_in: int, conv_out: int, kernel: int) -> nn.Module:
        return DiceUnit(conv_in, side) if kernel == 3 else plain_conv(conv_in, conv_out, kernel)

    return Bottleneck(in_channels, planes, conv)


def dilated(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the block of two 3×3 convolutions of dilation 2."""
    del side
    return PostActivation(in_channels, planes, dilated_pair(in_channels, planes))


def dilated_separable(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the block of two depthwise separable 3×3 convolutions of dilation 2."""
    del side
    return PostActivation(in_channels, planes, separable_dilated_pair(in_channels, planes))


def multidilated(in_channels: int, planes: int, side: int) -> nn.Module:
    """Return the block of three parallel separable convolutions between two 1×1 ones."""
    del side
    return PostActivation(in_channels, planes, multi_dilation(in_channels, planes))


BLOCKS: dict[str, BlockBuilder] = {
    "residual": residual,
    "separable": separable,
    "ghost": ghost,
    "shuffle": shuffle,
    "dice": dice,
    "dilated": dilated,
    "dilated_separable": dilated_separable,
    "multidilated": multidilated,
}


def chain(block: BlockBuilder, length: int, channels: int, planes: int, side: int) -> nn.Module:
    """Return `length` blocks in a row; a single one stands by itself, without a container."""
    if length == 1:
        return block(channels, planes, side)
    first, width = block(channels, planes, side), EXPANSION * planes
    return nn.Sequential(first, *(block(width, planes, side) for _ in range(length - 1)))
