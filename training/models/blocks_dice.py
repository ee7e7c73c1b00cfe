"""DiCE unit: convolutions along each of the three dimensions, then their fusion.

Mehta et al., "DiCENet: Dimension-wise Convolutions for Efficient Networks" (PAMI 2020,
https://arxiv.org/abs/1906.03516).

A depth-wise convolution has a 3×3 kernel per channel, over (height, width). A height-wise one has a
kernel per row, over (depth, width), a width-wise one a kernel per column. The latter two therefore
exist for one input size. The original resizes its input to that size and the result back. Here the
kernels are resized, by area, which is cheaper and free once exported: they are constants. Where
the input has a whole fraction of the rows it is the same function as nearest-neighbour up-sampling
before and average pooling after the convolution, because a row's result depends on its own row
only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REDUCTION = 4
"""Channels over the channels between the two layers of the global fusion."""


class DiceUnit(nn.Module):
    """(N, channels, H, W) -> (N, channels, H, W).

    Args:
        channels: of the input and the output.
        side: rows and columns that the kernels are stored for.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.depth = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        # Kernels (side, 1, 3, 3): depthwise convolutions once rows or columns are the channels.
        self.height = nn.Conv2d(side, side, 3, padding=1, groups=side, bias=False)
        self.width = nn.Conv2d(side, side, 3, padding=1, groups=side, bias=False)
        self.mix = nn.ModuleList(_Mix(channels) for _ in range(3))
        self.mixed = nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))
        self.local_fusion = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
        )
        squeezed = max(1, channels // REDUCTION)
        self.global_fusion = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(squeezed, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along depth, height and width, mix per channel, fuse locally and globally."""
        along_height = _convolve_groups(x.transpose(1, 2), self.height.weight).transpose(1, 2)
        along_width = _convolve_groups(x.transpose(1, 3), self.width.weight).transpose(1, 3)
        total = self.mix[0](self.depth(x)) + self.mix[1](along_height) + self.mix[2](along_width)
        y = self.mixed(total)
        fused: Tensor = self.local_fusion(y) * self.global_fusion(y)
        return fused


class _Mix(nn.Module):
    """Normalise one of the three results and weigh its channels.

    The paper shuffles the 3·C concatenated channels and convolves them with C groups of three: that
    is a weighted sum of the three results per channel, and this its one addend.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 1, groups=channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = self.body(x)
        return weighted


def _convolve_groups(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolve (N, L, ·, ·) with one 3×3 kernel per L; `kernels` are (S, 1, 3, 3)."""
    stored, length = kernels.shape[0], x.shape[1]
    if stored != length:
        indices, shares = area_shares(stored, length)
        # Small enough for exporters to fold: no products with the zeros of a full matrix.
        chosen = kernels[torch.tensor(indices, device=kernels.device)].flatten(2)
        weights = torch.tensor(shares, dtype=kernels.dtype, device=kernels.device)
        kernels = (weights[:, :, None] * chosen).sum(dim=1).view(length, 1, 3, 3)
    return F.conv2d(x.contiguous(), kernels, padding=1, groups=length)


Table: TypeAlias = "tuple[tuple[int, ...], ...]"


@lru_cache(maxsize=64)
def area_shares(stored: int, length: int) -> tuple[Table, tuple[tuple[float, ...], ...]]:
    """Return which stored cells each new cell covers, and their shares, which add up to 1.

    Both divide the same stretch evenly. Equal lengths give the identity, a whole fraction means,
    a whole multiple repetition. All rows are as long as the longest, filled up with shares of 0.
    """
    # In units of 1 / (stored · length): new cells are `stored` wide, old ones `length`.
    ranges = [
        range(new * stored // length, -((new + 1) * stored // -length)) for new in range(length)
    ]
    widest = max(map(len, ranges))

    def share(new: int, old: int) -> float:
        start = max(new * stored, old * length)
        end = min((new + 1) * stored, (old + 1) * length)
        return max(0, end - start) / stored

    rows = [tuple(min(cells.start + k, stored - 1) for k in range(widest)) for cells in ranges]
    shares = tuple(
        tuple(share(new, old) if k < len(ranges[new]) else 0.0 for k, old in enumerate(row))
        for new, row in enumerate(rows)
    )
    return tuple(rows), shares
