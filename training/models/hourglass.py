"""Stacked hourglass networks, full size and light.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (ECCV 2016,
https://arxiv.org/abs/1603.06937), and the light variants of Hassan and Al Khatib, "To Perceive or
Not to Perceive: Lightweight Stacked Hourglass Network" (2023, https://arxiv.org/abs/2302.04815).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_pose.lookup import lookup
from training.models.blocks import BLOCKS, EXPANSION, BlockBuilder
from training.registry import register_model

STEM_STRIDE = 4


@dataclass(frozen=True, slots=True)
class HourglassConfig:
    """One member of the family.

    Attributes:
        stacks: hourglasses in a row, each with its own prediction.
        inplanes: channels of the first convolution.
        num_feats: planes of the blocks behind the stem; features have twice as many channels.
        block: name in training.models.blocks.BLOCKS, used everywhere.
        depth: halvings inside an hourglass; input sides must be multiples of 4·2**depth px.
        merge: how one stage's results enter the next: "add" or "resconcat".
        narrow_res: add the neck features of each hourglass to the neck of the next.
        num_keypoints: heatmaps per stage.
    """

    stacks: int = 2
    inplanes: int = 64
    num_feats: int = 128
    block: str = "residual"
    depth: int = 4
    merge: str = "add"
    narrow_res: bool = False
    num_keypoints: int = 16


class Hourglass(nn.Module):
    """Down to the neck and up again, a skip branch at every resolution."""

    def __init__(self, planes: int, depth: int, block: BlockBuilder) -> None:
        super().__init__()
        channels = EXPANSION * planes
        self.skip = nn.ModuleList(block(channels, planes) for _ in range(depth))
        self.down = nn.ModuleList(block(channels, planes) for _ in range(depth))
        self.neck = block(channels, planes)
        self.up = nn.ModuleList(block(channels, planes) for _ in range(depth))

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

    def __init__(self, config: HourglassConfig, block: BlockBuilder) -> None:
        super().__init__()
        channels = EXPANSION * config.num_feats
        self.hourglass = Hourglass(config.num_feats, config.depth, block)
        self.features = nn.Sequential(
            block(channels, config.num_feats),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
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
            UsageError: the block or the merge is unknown.
        """
        super().__init__()
        block = lookup(BLOCKS, config.block, "block")
        merge = lookup(MERGES, config.merge, "merge")
        self.narrow_res = config.narrow_res
        width, channels = config.inplanes, EXPANSION * config.num_feats
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=2, padding=3),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            block(width, width),
            nn.MaxPool2d(2),
            block(2 * width, 2 * width),
            block(4 * width, config.num_feats),
        )
        self.stages = nn.ModuleList(Stage(config, block) for _ in range(config.stacks))
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


def _rgb_255(red: float, green: float, blue: float) -> tuple[float, float, float]:
    return (255 * red, 255 * green, 255 * blue)


# The recipe of the 2023 paper: Gaussian targets and the mean colour of MPII, no standard deviation.
_hourglass = register_model(
    input_size=(256, 256),
    stride=STEM_STRIDE,
    heatmap_kind="gaussian",
    mean=_rgb_255(0.4404, 0.4440, 0.4327),
    std=_rgb_255(1.0, 1.0, 1.0),
    paper="https://arxiv.org/abs/2302.04815",
)


@_hourglass
def hourglass_1stack() -> nn.Module:
    """One hourglass of 256 channels."""
    return StackedHourglass(HourglassConfig(stacks=1))


@_hourglass
def hourglass_2stack() -> nn.Module:
    """Two hourglasses of 256 channels: the baseline of the light variants."""
    return StackedHourglass(HourglassConfig(stacks=2))


@_hourglass
def hourglass_3stack() -> nn.Module:
    """Three hourglasses of 256 channels."""
    return StackedHourglass(HourglassConfig(stacks=3))


@_hourglass
def hourglass_8stack() -> nn.Module:
    """Eight hourglasses of 256 channels, the depth of the original paper."""
    return StackedHourglass(HourglassConfig(stacks=8))


@_hourglass
def hourglass_168() -> nn.Module:
    """Two hourglasses of 168 channels (84 inside the blocks)."""
    return StackedHourglass(HourglassConfig(inplanes=48, num_feats=84))


@_hourglass
def hourglass_168_separable() -> nn.Module:
    """Two hourglasses of 168 channels with depthwise separable blocks throughout."""
    return StackedHourglass(HourglassConfig(inplanes=48, num_feats=84, block="separable"))


@_hourglass
def hourglass_168_resconcat_narrowres() -> nn.Module:
    """The separable 168-channel network with ResConcat and NarrowRes connections."""
    config = HourglassConfig(
        inplanes=48, num_feats=84, block="separable", merge="resconcat", narrow_res=True
    )
    return StackedHourglass(config)
