"""The mobile inverted bottleneck of EfficientNet, and how a family of such networks is scaled.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (ICML 2019,
https://arxiv.org/abs/1905.11946): depth, width and resolution follow one coefficient φ. Negative
values give the compact members that Neff et al. use (https://arxiv.org/abs/2007.08090).
"""

from __future__ import annotations

from math import ceil

from torch import Tensor, nn

from training.models.depthwise import DepthwiseConv2d
from training.models.efficientnet_lite import STAGES, TAPS

DEPTH_BASE, WIDTH_BASE = 1.2, 1.1
STEM_CHANNELS = 32
DIVISOR = 8  # channels are multiples of it
SE_RATIO = 4  # squeeze-and-excitation: input channels of the block over squeezed channels


def scaled_channels(channels: int, phi: int) -> int:
    """Return channels·1.1^φ to the nearest multiple of 8, but never below 90 % of it."""
    exact: float = channels * WIDTH_BASE**phi
    rounded = max(DIVISOR, int(exact + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded if rounded >= 0.9 * exact else rounded + DIVISOR


def scaled_repeats(repeats: int, phi: int) -> int:
    """Return repeats·1.2^φ, rounded up."""
    exact: float = repeats * DEPTH_BASE**phi
    return ceil(exact)


def conv_norm_act(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a bias-free convolution, batch normalisation and SiLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.SiLU(inplace=True),
    )


def init_weights(model: nn.Module) -> None:
    """Fill every convolution with He's normal distribution by fan-in, biases with zeros.

    Fan-in suits depthwise kernels too: by fan-out they would start smaller by √channels.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class EvenSize(nn.Module):
    """Drops the last row or column where there is an odd number of them.

    In front of stride 2 it makes sizes round down, as they do in the published networks: 195 px
    become 97. Padding by half a kernel alone would give 98.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 2·(H // 2), 2·(W // 2))."""
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = x[:, :, : height - height % 2, : width - width % 2]
        return x


class SqueezeExcitation(nn.Module):
    """Scales every channel by a gate between 0 and 1 computed from all channels' means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = nn.SiLU(inplace=True)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        mean = x.mean((2, 3), keepdim=True)
        gate: Tensor = self.gate(self.expand(self.act(self.reduce(mean))))
        return x * gate


class MBConv(nn.Module):
    """1×1 expand, depthwise, squeeze-and-excitation, linear 1×1; identity where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = [conv_norm_act(c_in, hidden, 1)] if expansion > 1 else []
        if stride == 2:
            layers.append(EvenSize())
        layers += [
            DepthwiseConv2d(hidden, kernel, stride),
            nn.BatchNorm2d(hidden),
            nn.SiLU(inplace=True),
            SqueezeExcitation(hidden, c_in // SE_RATIO),
            nn.Conv2d(hidden, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        self.body = nn.Sequential(*layers)
        self.identity = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, H // stride, W // stride)."""
        y: Tensor = self.body(x)
        return x + y if self.identity else y


class EfficientNetFeatures(nn.Module):
    """Stem and stages of the EfficientNet for φ, without its head.

    Attributes:
        channels: of the four features that `forward` returns.
    """

    def __init__(self, phi: int) -> None:
        super().__init__()
        c_in = scaled_channels(STEM_CHANNELS, phi)
        self.stem = nn.Sequential(EvenSize(), conv_norm_act(3, c_in, 3, stride=2))
        self.stages = nn.ModuleList()
        for expansion, base_channels, repeats, stride, kernel in STAGES:
            c_out = scaled_channels(base_channels, phi)
            blocks = []
            for i in range(scaled_repeats(repeats, phi)):
                blocks.append(MBConv(c_in, c_out, kernel, stride if i == 0 else 1, expansion))
                c_in = c_out
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(scaled_channels(STAGES[i][1], phi) for i in TAPS)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, 16 and 32."""
        x = self.stem(x)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                features.append(x)
        return features
