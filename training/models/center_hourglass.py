"""A one-stage person detector: centre points on a light hourglass.

Zhou et al., "Objects as Points" (CenterNet, https://arxiv.org/abs/1904.07850), put centre heatmap,
offset and size heads on an hourglass. Here the hourglass is made light as in `hourglass_lite`: the
way down to stride 16 is EfficientNet-Lite0 with ImageNet weights, cut off where its layers get
wide; a few inverted bottlenecks around 5×5 depthwise convolutions go on to stride 32, where each
of them sees most of the picture; the way up adds a branch of the way down at every resolution.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.depthwise import DepthwiseConv2d
from training.models.efficientnet_lite import (
    STAGES,
    EfficientNetLite0,
    InvertedResidual,
    batch_norm,
    load_imagenet,
)
from training.models.halves import halves
from training.models.hourglass_lite import MEAN, STD
from training.registry import register_model

PAPER = "https://arxiv.org/abs/1904.07850"
OUTPUTS = 5  # centre logit, offset x and y, width and height
PRIOR = 0.01  # probability of a centre before training, Lin et al. 2017 (focal loss)
TAPS = (1, 2, 4)  # EfficientNet's last stage in use at each of the strides 4, 8 and 16
# Of stage 4, one of three blocks is used: at 320 px the other two would cost 0.13 GMAC.
LAST_STAGE_BLOCKS = 1
NECK_BLOCKS = 2
EXPANSION = 3  # of the blocks at stride 32
# The size head counts in units of this many map px: sizes go up to the side of the input, and
# Adam's steps are too small for weights that big.
SIZE_UNIT = 16.0


class CutEfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 down to stride 16."""

    def __init__(self, *, pretrained: bool) -> None:
        super().__init__()
        whole = EfficientNetLite0()
        if pretrained:
            load_imagenet(whole)
        self.stem = whole.stem
        self.stages = whole.stages[: TAPS[-1] + 1]
        blocks = list(self.stages[-1].children())[:LAST_STAGE_BLOCKS]
        self.stages[-1] = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8 and 16."""
        x = self.stem(x)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                features.append(x)
        return features


class CenterHourglass(nn.Module):
    """See the module's docstring.

    Args:
        channels: width of the way up.
        neck_channels: width at stride 32.
        pretrained: start the way down from ImageNet weights.
    """

    def __init__(self, channels: int, neck_channels: int, *, pretrained: bool = False) -> None:
        super().__init__()
        self.down = CutEfficientNetLite0(pretrained=pretrained)
        taps = [STAGES[i][1] for i in TAPS]
        hidden = neck_channels * EXPANSION
        self.neck = nn.Sequential(
            InvertedResidual(taps[-1], neck_channels, 5, 2, taps[-1] * EXPANSION),
            *(
                InvertedResidual(neck_channels, neck_channels, 5, 1, hidden)
                for _ in range(NECK_BLOCKS)
            ),
        )
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, channels, 1, bias=False), batch_norm(channels))
            for c in (*taps, neck_channels)
        )
        self.up = nn.ModuleList(
            InvertedResidual(channels, channels, 5, 1, channels * 3 // 2) for _ in taps
        )
        self.center = _head(channels, 1)
        self.box = _head(channels, OUTPUTS - 1)
        nn.init.constant_(_bias(self.center), -math.log((1 - PRIOR) / PRIOR))
        # Mid-cell, and one unit wide and high.
        _bias(self.box).data.copy_(torch.tensor([0.0, 0.0, 1.0, 1.0]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> [(N, 5, H/4, W/4)], see training.registry; sides: multiples of 32."""
        features = self._features(x)
        box = self.box(features)
        return [torch.cat([self.center(features), box[:, :2], box[:, 2:] * SIZE_UNIT], dim=1)]

    def parts(self, x: Tensor) -> list[Tensor]:
        """Return the same as logits, offsets and sizes, see training.registry.InParts."""
        features = self._features(x)
        last: nn.Conv2d = self.box[-1]  # type: ignore[assignment]
        offsets, sizes = halves(last, self.box[:-1](features))
        return [self.center(features), offsets, sizes * SIZE_UNIT]

    def _features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> what the heads see, (N, C, H/4, W/4)."""
        features = self.down(x)
        y: Tensor = self.lateral[3](self.neck(features[2]))
        for i in (2, 1, 0):
            skip = self.lateral[i](features[i])
            y = self.up[i](skip + F.interpolate(y, scale_factor=2.0, mode="nearest"))
        return y


def _head(channels: int, outputs: int) -> nn.Sequential:
    """3×3 depthwise, 1×1, ReLU, and a 1×1 that starts at almost nothing."""
    last = nn.Conv2d(channels, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    return nn.Sequential(
        DepthwiseConv2d(channels, 3),
        batch_norm(channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        batch_norm(channels),
        nn.ReLU6(inplace=True),
        last,
    )


def _bias(head: nn.Sequential) -> Tensor:
    bias: Tensor = head[-1].bias  # type: ignore[assignment]
    return bias


@register_model(task="detector", input_size=(320, 320), stride=4, mean=MEAN, std=STD, paper=PAPER)
def center_hourglass_s(*, pretrained: bool = False) -> nn.Module:
    """Light centre-point person detector, an hourglass of 40 channels."""
    return CenterHourglass(40, 96, pretrained=pretrained)
