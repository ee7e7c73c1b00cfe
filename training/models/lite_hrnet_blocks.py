"""Blocks of Lite-HRNet: shuffle block, conditional channel weighting, fusion and transition.

Yu et al., "Lite-HRNet: A Lightweight High-Resolution Network" (CVPR 2021,
https://arxiv.org/abs/2104.06403). "Branches" are feature maps of one picture, the first one at the
highest resolution and each next one at half the height and width: (N, C_i, H/2**i, W/2**i).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.depthwise import DepthwiseConv2d

CROSS_RESOLUTION_RATIO = 8
SPATIAL_RATIO = 4
"""Channels over hidden channels of the two weightings, rounded down."""


def pointwise(in_channels: int, out_channels: int, *, relu: bool = True) -> nn.Sequential:
    """Return 1×1 convolution, BN and, where wanted, ReLU."""
    layers = [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def depthwise(channels: int, stride: int = 1) -> nn.Sequential:
    """Return 3×3 depthwise convolution and BN."""
    return nn.Sequential(DepthwiseConv2d(channels, 3, stride), nn.BatchNorm2d(channels))


def separable(
    in_channels: int, out_channels: int, stride: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """Return a depthwise and a pointwise convolution, each with BN, ReLU only at the end."""
    return nn.Sequential(
        depthwise(in_channels, stride), pointwise(in_channels, out_channels, relu=relu)
    )


def interleave(a: Tensor, b: Tensor) -> Tensor:
    """Return the channels of two (N, C, H, W) halves in turn: the channel shuffle of ShuffleNet."""
    n, c, h, w = a.shape
    # Four axes are enough, and edge runtimes are at home with no more.
    pairs = torch.cat([a, b], dim=1).reshape(n, 2, c, h * w).transpose(1, 2)
    return pairs.reshape(n, 2 * c, h, w)


class Stem(nn.Module):
    """3×3 convolution and shuffle block, each with stride 2: (N, 3, h, w) -> (N, C, h/4, w/4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.short = separable(half, half, stride=2)
        self.long = nn.Sequential(pointwise(half, channels), separable(channels, half, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """Return features at a quarter of the input's height and width."""
        a, b = self.conv(x).chunk(2, dim=1)
        return interleave(self.short(a), self.long(b))


class ShuffleBlock(nn.Module):
    """Half of the channels pass 1×1, 3×3 depthwise and 1×1, then all are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(pointwise(half, half), separable(half, half))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        a, b = x.chunk(2, dim=1)
        return interleave(a, self.body(b))


class ParallelShuffleBlocks(nn.Module):
    """One shuffle block per branch: the block of naive Lite-HRNet."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ShuffleBlock(c) for c in channels)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return branches of the same shapes."""
        return [block(x) for block, x in zip(self.branches, branches, strict=True)]


class GlobalAveragePool(nn.Module):
    """(N, C, H, W) -> (N, C, 1, 1); a module, so that the operation counter can price it."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over height and width."""
        return x.mean(dim=(2, 3), keepdim=True)


class SpatialWeighting(nn.Module):
    """One weight per channel, from the means of all channels of the branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // SPATIAL_RATIO
        self.weights = nn.Sequential(
            GlobalAveragePool(),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same, each channel times its weight in 0..1."""
        weighted: Tensor = x * self.weights(x)
        return weighted


class CrossResolutionWeighting(nn.Module):
    """One weight per channel and position of the lowest resolution, from all branches."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)
        total = sum(channels)
        hidden = total // CROSS_RESOLUTION_RATIO
        self.weights = nn.Sequential(
            pointwise(total, hidden), pointwise(hidden, total, relu=False), nn.Sigmoid()
        )
        # Branches differ by powers of two, so adaptive pooling is pooling by a fixed factor.
        self.factors = [2 ** (len(channels) - 1 - i) for i in range(len(channels))]

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return every branch times its weights in 0..1."""
        pooled = [
            F.avg_pool2d(x, factor) if factor > 1 else x
            for x, factor in zip(branches, self.factors, strict=True)
        ]
        weights = self.weights(torch.cat(pooled, dim=1)).split(self.channels, dim=1)
        return [
            x * (F.interpolate(w, scale_factor=float(f), mode="nearest") if f > 1 else w)
            for x, w, f in zip(branches, weights, self.factors, strict=True)
        ]


class ConditionalChannelWeighting(nn.Module):
    """Shuffle blocks whose 1×1 convolutions have become weightings across and within branches."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        halves = [c // 2 for c in channels]
        self.cross_resolution = CrossResolutionWeighting(halves)
        self.branches = nn.ModuleList(
            nn.Sequential(depthwise(c), SpatialWeighting(c)) for c in halves
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return branches of the same shapes."""
        halves = [x.chunk(2, dim=1) for x in branches]
        weighted = self.cross_resolution([b for _, b in halves])
        return [
            interleave(a, branch(b))
            for (a, _), b, branch in zip(halves, weighted, self.branches, strict=True)
        ]


def _resample(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """Return what takes branch `source` to the channels and resolution of branch `target`."""
    c_in, c_out = channels[source], channels[target]
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2.0 ** (source - target), mode="nearest")
        return nn.Sequential(pointwise(c_in, c_out, relu=False), up)
    steps = [separable(c_in, c_in, stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, separable(c_in, c_out, stride=2, relu=False))


class Gather(nn.Module):
    """Sum of all branches, brought to the channels and resolution of one of them."""

    def __init__(self, channels: Sequence[int], target: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            _resample(channels, source, target) for source in range(len(channels))
        )

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return (N, C_target, H/2**target, W/2**target)."""
        terms = [path(x) for path, x in zip(self.paths, branches, strict=True)]
        total: Tensor = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class Fusion(nn.Module):
    """Every branch becomes the sum of all branches at its resolution, and ReLU.

    This is the paper's sum; the authors' code adds the first branch's term twice.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.targets = nn.ModuleList(Gather(channels, target) for target in range(len(channels)))
        self.relu = nn.ReLU(inplace=True)  # one for all: the paper's count depends on it

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return branches of the same shapes."""
        return [self.relu(gather(branches)) for gather in self.targets]


class Transition(nn.Module):
    """Bring branches to the channels of the next stage and add one at half the last resolution."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        self.keep = nn.ModuleList(
            nn.Identity() if a == b else separable(a, b)
            for a, b in zip(before, after[:-1], strict=True)
        )
        self.new = separable(before[-1], after[-1], stride=2)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return one branch more."""
        kept = [module(x) for module, x in zip(self.keep, branches, strict=True)]
        return [*kept, self.new(branches[-1])]


BlockBuilder: TypeAlias = Callable[[Sequence[int]], nn.Module]
"""(channels of the branches) -> module: branches -> branches of the same shapes."""

BLOCKS: dict[str, BlockBuilder] = {
    "ccw": ConditionalChannelWeighting,
    "shuffle": ParallelShuffleBlocks,
}
