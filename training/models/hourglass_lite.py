"""A one-stack hourglass whose bottom-up half is a mobile classifier with ImageNet weights.

The hourglass of Newell et al. (ECCV 2016, https://arxiv.org/abs/1603.06937) keeps its shape:
features go down to stride 32, come up by nearest-neighbour up-sampling, and at every resolution a
branch of the way down is added, with one residual per location on the way up. Two things make it
light: the way down is EfficientNet-Lite0, so that little pose data goes far, and the residuals on
the way up are inverted bottlenecks around a 5×5 depthwise convolution.

Width and input size of the members grow together with one coefficient φ, as in EfficientNet
(Tan and Le, ICML 2019): channels 64·1.25^φ to a multiple of eight, input 192 + 64·φ.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from training.models.efficientnet_lite import (
    TAP_CHANNELS,
    EfficientNetLite0,
    InvertedResidual,
    batch_norm,
    load_imagenet,
)
from training.registry import register_model

PAPER = "https://arxiv.org/abs/1603.06937"
# (pixel - 127) / 128, the normalisation EfficientNet-Lite was trained with.
MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
BASE_CHANNELS, BASE_INPUT = 64, 192


def scaled_channels(phi: float) -> int:
    """Channels of the way up for φ."""
    eighths: float = BASE_CHANNELS * 1.25**phi / 8
    return round(eighths) * 8


def scaled_input(phi: float) -> int:
    """Side of the input in px for φ, a multiple of 32."""
    return round((BASE_INPUT + 64 * phi) / 32) * 32


class HourglassLite(nn.Module):
    """See the module's docstring.

    Args:
        channels: width of the way up.
        num_keypoints: heatmaps to predict.
        pretrained: start the way down from ImageNet weights.
    """

    def __init__(
        self, channels: int = BASE_CHANNELS, num_keypoints: int = 16, *, pretrained: bool = False
    ) -> None:
        super().__init__()
        self.down = EfficientNetLite0()
        if pretrained:
            load_imagenet(self.down)
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, channels, 1, bias=False), batch_norm(channels))
            for c in TAP_CHANNELS
        )
        hidden = channels * 3 // 2
        self.up = nn.ModuleList(
            InvertedResidual(channels, channels, 5, 1, hidden) for _ in TAP_CHANNELS
        )
        self.head = nn.Conv2d(channels, num_keypoints, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> [(N, K, H/4, W/4) heatmap logits]."""
        features = self.down(x)
        y: Tensor = self.up[3](self.lateral[3](features[3]))
        for i in (2, 1, 0):
            skip = self.lateral[i](features[i])
            y = self.up[i](skip + F.interpolate(y, scale_factor=2.0, mode="nearest"))
        return [self.head(y)]


@register_model(input_size=(scaled_input(0),) * 2, stride=4, mean=MEAN, std=STD, paper=PAPER)
def hourglass_lite_s(*, pretrained: bool = False) -> nn.Module:
    """Light one-stack hourglass on EfficientNet-Lite0, φ = 0: 64 channels, 192 px."""
    return HourglassLite(scaled_channels(0), pretrained=pretrained)


@register_model(input_size=(scaled_input(1),) * 2, stride=4, mean=MEAN, std=STD, paper=PAPER)
def hourglass_lite_m(*, pretrained: bool = False) -> nn.Module:
    """Light one-stack hourglass on EfficientNet-Lite0, φ = 1: 80 channels, 256 px."""
    return HourglassLite(scaled_channels(1), pretrained=pretrained)
