"""Lite-HRNet and its naive predecessor, which keeps the 1×1 convolutions of shuffle blocks.

Yu et al., "Lite-HRNet: A Lightweight High-Resolution Network" (CVPR 2021,
https://arxiv.org/abs/2104.06403). The number in a name is that of the layers. Few operations do not
mean low latency: the network is many small ones, so measure before choosing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from edge_pose.skeleton import keypoint_format
from training.models.lite_hrnet_blocks import BLOCKS, Fusion, Stem, Transition, separable
from training.registry import register_model

STRIDE = 4
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class LiteHRNetConfig:
    """One member of the family.

    Attributes:
        modules: modules of each stage; stage i works on i + 2 branches.
        channels: of the branches, highest resolution first, even numbers; one more than stages.
        block: name in training.models.lite_hrnet_blocks.BLOCKS.
        blocks: blocks in front of the fusion of a module.
        stem_channels: channels behind the stem, an even number.
        num_keypoints: heatmaps to predict.
    """

    modules: tuple[int, ...] = (2, 4, 2)
    channels: tuple[int, ...] = (40, 80, 160, 320)
    block: str = "ccw"
    blocks: int = 2
    stem_channels: int = 32
    num_keypoints: int = 16


class IterativeHead(nn.Module):
    """From the lowest resolution to the highest: project, up-sample, add to the next.

    The authors up-sample bilinearly with aligned corners; nearest-neighbour is used here, which
    every edge runtime has in 8 bits too. It has no parameters either way.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        targets = (channels[0], *channels[:-1])
        self.projections = nn.ModuleList(
            separable(c_in, c_out) for c_in, c_out in zip(channels, targets, strict=True)
        )

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return features (N, C_0, H, W) of the highest resolution."""
        y: Tensor = self.projections[-1](branches[-1])
        for projection, x in zip(reversed(self.projections[:-1]), branches[-2::-1], strict=True):
            y = projection(x + F.interpolate(y, scale_factor=2.0, mode="nearest"))
        return y


class LiteHRNet(nn.Module):
    """(N, 3, h, w) -> [(N, K, h/4, w/4) heatmaps]; h and w are multiples of `multiple` px."""

    def __init__(self, config: LiteHRNetConfig) -> None:
        """Build the network of `config`.

        Raises:
            UsageError: the block is unknown.
        """
        super().__init__()
        block = lookup(BLOCKS, config.block, "block")
        self.multiple = STRIDE * 2 ** len(config.modules)
        self.stem = Stem(config.stem_channels)
        self.stages = nn.ModuleList()
        before: tuple[int, ...] = (config.stem_channels,)
        for index, modules in enumerate(config.modules):
            channels = config.channels[: index + 2]
            layers: list[nn.Module] = [Transition(before, channels)]
            for _ in range(modules):
                layers += [*(block(channels) for _ in range(config.blocks)), Fusion(channels)]
            self.stages.append(nn.Sequential(*layers))
            before = channels
        self.head = IterativeHead(config.channels)
        self.score = nn.Conv2d(config.channels[0], config.num_keypoints, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the heatmaps.

        Raises:
            UsageError: the input's height or width is not a multiple of `multiple`.
        """
        height, width = x.shape[2], x.shape[3]
        if height % self.multiple or width % self.multiple:
            raise UsageError(
                f"Lite-HRNet: found an input of {width}x{height} px, "
                f"expected multiples of {self.multiple}"
            )
        branches = [self.stem(x)]
        for stage in self.stages:
            branches = stage(branches)
        return [self.score(self.head(branches))]


def _build(keypoints: str, **changes: Any) -> nn.Module:  # noqa: ANN401 - fields of the config
    count = len(keypoint_format(keypoints).keypoints)
    return LiteHRNet(LiteHRNetConfig(num_keypoints=count, **changes))


# The authors train with Gaussian targets on ImageNet-normalised pictures.
_lite_hrnet = partial(
    register_model,
    stride=STRIDE,
    heatmap_kind="gaussian",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    paper="https://arxiv.org/abs/2104.06403",
)


@_lite_hrnet(input_size=(256, 256))
def lite_hrnet_18(*, keypoints: str = "mpii16") -> nn.Module:
    """Lite-HRNet of 18 layers."""
    return _build(keypoints)


@_lite_hrnet(input_size=(256, 256))
def lite_hrnet_30(*, keypoints: str = "mpii16") -> nn.Module:
    """Lite-HRNet of 30 layers."""
    return _build(keypoints, modules=(3, 8, 3))


@_lite_hrnet(input_size=(256, 256))
def naive_lite_hrnet_18(*, keypoints: str = "mpii16") -> nn.Module:
    """Lite-HRNet of 18 layers with shuffle blocks, on three quarters of the channels."""
    return _build(keypoints, block="shuffle", channels=(30, 60, 120, 240))


@_lite_hrnet(input_size=(192, 256))
def wider_naive_lite_hrnet_18(*, keypoints: str = "mpii16") -> nn.Module:
    """Lite-HRNet of 18 layers with shuffle blocks, on all channels."""
    return _build(keypoints, block="shuffle")
