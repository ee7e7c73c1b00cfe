"""Stacked hourglass networks, full size and light.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (ECCV 2016,
https://arxiv.org/abs/1603.06937), and the light variants of Hassan and Al Khatib, "To Perceive or
Not to Perceive: Lightweight Stacked Hourglass Network" (2023, https://arxiv.org/abs/2302.04815).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from training.models.blocks import BLOCKS, BlockBuilder, chain
from training.models.blocks_base import EXPANSION, normalised

STEM_STRIDE = 4
FEATURE_SIDE = 64
"""Side of the features at the papers' 256-px input, for blocks with a size of their own."""


@dataclass(frozen=True, slots=True)
class HourglassConfig:
    """One member of the family; blocks are names in training.models.blocks.BLOCKS.

    Attributes:
        stacks: hourglasses in a row, each with its own prediction.
        inplanes: channels of the first convolution.
        num_feats: planes of the blocks behind the stem; features have twice as many channels.
        stem_block: the three blocks before the first hourglass.
        hourglass_block: the blocks inside the hourglasses.
        stack_block: the blocks between an hourglass and its head.
        residuals: blocks per location of an hourglass, and between it and its head.
        head_convs: 1×1 convolutions from there to the heatmaps; all but the last are normalised.
        depth: halvings inside an hourglass; input sides must be multiples of 4·2**depth px.
        merge: how one stage's results enter the next: "add" or "resconcat".
        narrow_res: add the neck features of each hourglass to the neck of the next.
        num_keypoints: heatmaps per stage.

    Raises:
        UsageError: a number is below 1.
    """

    stacks: int = 2
    inplanes: int = 64
    num_feats: int = 128
    stem_block: str = "residual"
    hourglass_block: str = "residual"
    stack_block: str = "residual"
    residuals: int = 1
    head_convs: int = 2
    depth: int = 4
    merge: str = "add"
    narrow_res: bool = False
    num_keypoints: int = 16

    def __post_init__(self) -> None:
        """Refuse empty networks."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise UsageError(f"{field.name}: found {value}, expected at least 1")


class Hourglass(nn.Module):
    """Down to the neck and up again, a skip branch at every resolution.

    Args:
        planes: planes of the blocks.
        depth: halvings.
        block: builds the blocks.
        residuals: blocks per location.
    """

    def __init__(self, planes: int, depth: int, block: BlockBuilder, residuals: int = 1) -> None:
        super().__init__()

        def location(level: int) -> nn.Module:
            side = max(1, FEATURE_SIDE >> level)
            # All blocks of a level are made for the size of its skip branch: this gives DiCE the
            # published count, with which the halved features of `down` and `up` do not agree.
            return chain(block, residuals, EXPANSION * planes, planes, side)

        self.skip = nn.ModuleList(location(level) for level in range(depth))
        self.down = nn.ModuleList(location(level) for level in range(depth))
        self.neck = location(depth - 1)
        self.up = nn.ModuleList(location(level) for level in reversed(range(depth)))

    def forward(self, x: Tensor, previous_neck: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run one hourglass.

        Args:
            x: (N, C, H, W).
            previous_neck: (N, C, H/2**depth, W/2**depth) to add to the neck, or None.

        Returns:
            (N, C, H, W) features, and the neck's features as they were before the addition.
        """
        skips = []
        for skip, down in zip(self.skip, self.down, strict=True):
            skips.append(skip(x))
            x = down(F.max_pool2d(x, 2))
        neck: Tensor = self.neck(x)
        # Never in place: the perceptual loss compares the necks themselves.
        x = neck if previous_neck is None else neck + previous_neck
        for up in self.up:
            x = skips.pop() + F.interpolate(up(x), scale_factor=2.0, mode="nearest")
        return x, neck


class AddMerge(nn.Module):
    """The next stage's input is the sum of this stage's input, features and heatmaps."""

    def __init__(self, channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.from_features = nn.Conv2d(channels, channels, 1)
        self.from_heatmaps = nn.Conv2d(num_keypoints, channels, 1)

    def forward(self, x: Tensor, features: Tensor, heatmaps: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        merged: Tensor = x + self.from_features(features) + self.from_heatmaps(heatmaps)
        return merged


class ResConcatMerge(nn.Module):
    """As AddMerge, but the features are concatenated and a pointwise convolution chooses."""

    def __init__(self, channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.from_features = nn.Conv2d(channels, channels, 1)
        self.from_heatmaps = nn.Conv2d(num_keypoints, channels, 1)
        self.reduce = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, features: Tensor, heatmaps: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        x = x + self.from_heatmaps(heatmaps)
        merged: Tensor = self.reduce(torch.cat([x, self.from_features(features)], dim=1))
        return merged


MergeBuilder: TypeAlias = Callable[[int, int], nn.Module]
"""(channels, num_keypoints) -> module (input, features, heatmaps) -> the next stage's input."""

MERGES: dict[str, MergeBuilder] = {"add": AddMerge, "resconcat": ResConcatMerge}


class Stage(nn.Module):
    """An hourglass and the head that reads heatmaps from it."""

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        planes, channels = config.num_feats, EXPANSION * config.num_feats
        inside = lookup(BLOCKS, config.hourglass_block, "hourglass_block")
        behind = lookup(BLOCKS, config.stack_block, "stack_block")
        self.hourglass = Hourglass(planes, config.depth, inside, config.residuals)
        layers = [chain(behind, config.residuals, channels, planes, FEATURE_SIDE)]
        for _ in range(config.head_convs - 1):
            layers += normalised(nn.Conv2d(channels, channels, 1), channels)
        self.features = nn.Sequential(*layers)
        self.score = nn.Conv2d(channels, config.num_keypoints, 1)

    def forward(self, x: Tensor, previous_neck: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return features (N, C, H, W), heatmaps (N, K, H, W) and the neck's features."""
        y, neck = self.hourglass(x, previous_neck)
        features = self.features(y)
        return features, self.score(features), neck


class StackedHourglass(nn.Module):
    """(N, 3, h, w) -> one (N, K, h/4, w/4) per stage, the last one is the prediction."""

    def __init__(self, config: HourglassConfig) -> None:
        """Build the network of `config`.

        Raises:
            UsageError: a block or the merge is unknown.
        """
        super().__init__()
        block = lookup(BLOCKS, config.stem_block, "stem_block")
        merge = lookup(MERGES, config.merge, "merge")
        self.narrow_res = config.narrow_res
        self.multiple = STEM_STRIDE * 2**config.depth
        width, channels = config.inplanes, EXPANSION * config.num_feats
        self.stem = nn.Sequential(
            *normalised(nn.Conv2d(3, width, 7, stride=2, padding=3), width),
            block(width, width, 2 * FEATURE_SIDE),
            nn.MaxPool2d(2),
            block(2 * width, 2 * width, FEATURE_SIDE),
            block(4 * width, config.num_feats, FEATURE_SIDE),
        )
        self.stages = nn.ModuleList(Stage(config) for _ in range(config.stacks))
        self.merges = nn.ModuleList(
            merge(channels, config.num_keypoints) for _ in range(config.stacks - 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the heatmaps of every stage."""
        return self.forward_with_necks(x)[0]

    def forward_with_necks(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the heatmaps of every stage, and the necks that the perceptual loss compares.

        Necks are (N, 2·num_feats, h/4/2**depth, w/4/2**depth), before NarrowRes adds to them.
        """
        for side in x.shape[2:]:
            if side % self.multiple:
                raise UsageError(
                    f"input: found a side of {side} px, this hourglass takes multiples of"
                    f" {self.multiple}"
                )
        x = self.stem(x)
        heatmaps: list[Tensor] = []
        necks: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            previous = necks[-1] if self.narrow_res and necks else None
            features, prediction, neck = stage(x, previous)
            heatmaps.append(prediction)
            necks.append(neck)
            if index < len(self.merges):
                x = self.merges[index](x, features, prediction)
        return heatmaps, necks
