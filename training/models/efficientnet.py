"""Compact EfficientNet classifiers: EfficientNet-B0 scaled down with φ = -1 … -4.

Neff et al., "EfficientHRNet: Efficient Scaling for Lightweight High-Resolution Multi-Person Pose
Estimation" (2020, https://arxiv.org/abs/2007.08090), section 3.2: B0 of Tan and Le (ICML 2019)
with depth 1.2^φ, width 1.1^φ and resolution 1.15^φ. They are the backbones of EfficientHRNet.
Stochastic depth is left out: it draws random numbers inside the network.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from torch import Tensor, nn

from training.models.mbconv import (
    EfficientNetFeatures,
    conv_norm_act,
    init_weights,
    scaled_channels,
)
from training.registry import Builder, register_model

PAPER = "https://arxiv.org/abs/2007.08090"
BASE_INPUT, RESOLUTION_BASE = 224, 1.15
# The table of its authors' models at φ = -3 and -4, where its formula gives 148 and 129.
PRINTED_INPUT = {-3: 145, -4: 128}
HEAD_CHANNELS = 1280
DROPOUT = 0.2  # of EfficientNet-B0

IMAGENET_MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
IMAGENET_STD = (255 * 0.229, 255 * 0.224, 255 * 0.225)


def scaled_input(phi: int) -> int:
    """Return the side of the input for φ in px: ceil(224·1.15^φ), or what the paper prints."""
    exact: float = BASE_INPUT * RESOLUTION_BASE**phi
    return PRINTED_INPUT.get(phi, ceil(exact))


class EfficientNet(nn.Module):
    """Classifier (N, 3, H, W) -> [(N, classes) logits], for inputs of any size.

    Args:
        phi: compound scaling coefficient; 0 is EfficientNet-B0.
        classes: 1000 for ImageNet, 100 for CIFAR-100.
    """

    def __init__(self, phi: int, classes: int) -> None:
        super().__init__()
        self.features = EfficientNetFeatures(phi)
        width = scaled_channels(HEAD_CHANNELS, phi)
        self.head = conv_norm_act(self.features.channels[-1], width, 1)
        init_weights(self)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(width, classes)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the logits, in a list as every network's outputs are."""
        x = self.head(self.features(x)[-1])
        return [self.classifier(self.dropout(x.mean((2, 3))))]


def _classifier(phi: int) -> Callable[[Builder], Builder]:
    return register_model(
        task="classifier",
        input_size=(scaled_input(phi),) * 2,
        stride=1,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        paper=PAPER,
    )


@_classifier(0)
def efficientnet_b0(*, classes: int = 1000) -> nn.Module:
    """EfficientNet-B0, the baseline of the compact classifiers."""
    return EfficientNet(0, classes)


@_classifier(-1)
def efficientnet_bm1(*, classes: int = 1000) -> nn.Module:
    """Compact EfficientNet B-1: φ = -1."""
    return EfficientNet(-1, classes)


@_classifier(-2)
def efficientnet_bm2(*, classes: int = 1000) -> nn.Module:
    """Compact EfficientNet B-2: φ = -2."""
    return EfficientNet(-2, classes)


@_classifier(-3)
def efficientnet_bm3(*, classes: int = 1000) -> nn.Module:
    """Compact EfficientNet B-3: φ = -3."""
    return EfficientNet(-3, classes)


@_classifier(-4)
def efficientnet_bm4(*, classes: int = 1000) -> nn.Module:
    """Compact EfficientNet B-4: φ = -4."""
    return EfficientNet(-4, classes)
