"""High-resolution modules: parallel branches that exchange features.

Sun et al., "Deep High-Resolution Representation Learning for Human Pose Estimation" (CVPR 2019,
https://arxiv.org/abs/1902.09212), figure 3. Branch i works at 1/2^i of the first branch's
resolution; lists of features go from high to low resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

BLOCKS_PER_BRANCH = 2


class BasicBlock(nn.Module):
    """Residual of two 3×3 convolutions; (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum of the input and its residual."""
        out: Tensor = self.act(self.body(x) + x)
        return out


def _down(widths: Sequence[int], source: int, target: int) -> nn.Sequential:
    """Stride-2 3×3 convolutions from branch `source` to the lower branch `target`.

    The channels change at the last one; there is no rectifier after it, the sum gets one.
    """
    layers: list[nn.Module] = []
    c_in = widths[source]
    for step in range(source + 1, target + 1):
        last = step == target
        c_out = widths[target] if last else c_in
        layers += [
            nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        if not last:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _up(widths: Sequence[int], source: int, target: int) -> nn.Sequential:
    """Pointwise convolution and nearest up-sampling to the higher branch `target`."""
    return nn.Sequential(
        nn.Conv2d(widths[source], widths[target], 1, bias=False),
        nn.BatchNorm2d(widths[target]),
        nn.Upsample(scale_factor=float(2 ** (source - target)), mode="nearest"),
    )


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    if source == target:
        return nn.Identity()
    return (_down if source < target else _up)(widths, source, target)


class Fusion(nn.Module):
    """The rectified sum of all branches at the resolution of branch `target`."""

    def __init__(self, widths: Sequence[int], target: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(_path(widths, source, target) for source in range(len(widths)))
        self.act = nn.ReLU(inplace=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """(N, widths[i], H/2^i, W/2^i) per branch -> (N, widths[t], H/2^t, W/2^t), t = target."""
        first, *others = (path(x) for path, x in zip(self.paths, features, strict=True))
        fused: Tensor = self.act(sum(others, start=first))
        return fused


class HighResolutionModule(nn.Module):
    """Two basic blocks per branch, then the branches exchange what they found.

    Args:
        widths: channels per branch, two branches or more, from high to low resolution.
        outputs: branches to return; the last module of a network needs the first one alone.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS_PER_BRANCH)))
            for width in widths
        )
        self.fusions = nn.ModuleList(Fusion(widths, target) for target in range(outputs))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """(N, widths[i], H/2^i, W/2^i) per branch -> the same for the first `outputs` branches."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        return [fusion(features) for fusion in self.fusions]
