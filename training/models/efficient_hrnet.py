"""EfficientHRNet: multi-person pose from one pass, a compact HigherHRNet on a compact EfficientNet.

Neff et al., "EfficientHRNet: Efficient Scaling for Lightweight High-Resolution Multi-Person Pose
Estimation" (2020, https://arxiv.org/abs/2007.08090). One coefficient φ = 0 … -4 scales the
backbone, the widths and modules of the high-resolution network, the head and the input together.

The features of the backbone at strides 4 and 8 enter the first stage, those at 16 and 32 open a
further branch at the second and third. Where the paper's text and its table of widths differ, the
table is right: the factor that gives it is 1.2455^φ of 32, 64, 128, 256, rounded up, not 1.25^φ of
n·32. The backbone is a plain EfficientNet without stochastic depth.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor, nn

from edge_pose.lookup import lookup
from edge_pose.skeleton import keypoint_format
from training.models.efficientnet import IMAGENET_MEAN, IMAGENET_STD, PAPER
from training.models.halves import halves
from training.models.high_resolution import BasicBlock, HighResolutionModule
from training.models.mbconv import EfficientNetFeatures, init_weights
from training.registry import Builder, register_model

BASE_INPUT, INPUT_STEP = 512, 32
BASE_WIDTHS, WIDTH_BASE = (32, 64, 128, 256), 1.2455
REFINEMENTS = 2  # basic blocks behind the deconvolution

# φ -> high-resolution modules in the stages of two, three and four branches.
MODULES = {0: (1, 4, 3), -1: (1, 3, 3), -2: (1, 2, 3), -3: (1, 1, 3), -4: (1, 1, 2)}


def scaled_input(phi: int) -> int:
    """Return the side of the input for φ in px."""
    return BASE_INPUT + INPUT_STEP * phi


def scaled_widths(phi: int) -> tuple[int, ...]:
    """Return the channels of the four branches for φ."""
    return tuple(ceil(width * WIDTH_BASE**phi) for width in BASE_WIDTHS)


def _transition(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


class Stage(nn.Module):
    """A transition on every branch, then high-resolution modules.

    Args:
        c_in: channels of the inputs, from high to low resolution.
        widths: channels of the branches.
        modules: high-resolution modules in a row.
        outputs: branches that the last module returns.
    """

    def __init__(
        self, c_in: tuple[int, ...], widths: tuple[int, ...], modules: int, outputs: int
    ) -> None:
        super().__init__()
        self.transitions = nn.ModuleList(
            _transition(a, b) for a, b in zip(c_in, widths, strict=True)
        )
        self.high_resolution = nn.ModuleList(
            HighResolutionModule(widths, outputs if i == modules - 1 else len(widths))
            for i in range(modules)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features per branch in, features of the first `outputs` branches out."""
        features = [t(x) for t, x in zip(self.transitions, features, strict=True)]
        for module in self.high_resolution:
            features = module(features)
        return features


class EfficientHRNet(nn.Module):
    """See the module's docstring.

    (N, 3, h, w) -> [(N, 2K, h/4, w/4): K heatmaps, then K tag maps; (N, K, h/2, w/2): K heatmaps];
    h and w are multiples of 32 px.

    Args:
        phi: compound scaling coefficient, 0 to -4.
        num_keypoints: K.
    """

    def __init__(self, phi: int, num_keypoints: int) -> None:
        """Build the network.

        Raises:
            UsageError: the paper gives no network for this φ.
        """
        super().__init__()
        modules = lookup({str(p): counts for p, counts in MODULES.items()}, str(phi), "phi")
        widths = scaled_widths(phi)
        self.backbone = EfficientNetFeatures(phi)
        taps = self.backbone.channels
        self.stages = nn.ModuleList(
            (
                Stage(taps[:2], widths[:2], modules[0], 2),
                Stage((*widths[:2], taps[2]), widths[:3], modules[1], 3),
                Stage((*widths[:3], taps[3]), widths, modules[2], 1),
            )
        )
        width = widths[0]
        self.deconv = nn.Sequential(
            nn.ConvTranspose2d(width + 2 * num_keypoints, width, 4, 2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *(BasicBlock(width) for _ in range(REFINEMENTS)),
        )
        init_weights(self)
        self.head = _prediction(width, 2 * num_keypoints)
        self.refined_head = _prediction(width, num_keypoints)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return heatmaps with tags at a quarter and heatmaps at half of the input's size."""
        features = self._features(x)
        quarter = self.head(features)
        return [quarter, self._refined(features, quarter)]

    def parts(self, x: Tensor) -> list[Tensor]:
        """Return the same, tags apart from their heatmaps, see training.registry.InParts."""
        features = self._features(x)
        heatmaps, tags = halves(self.head, features)
        return [heatmaps, tags, self._refined(features, torch.cat([heatmaps, tags], dim=1))]

    def _features(self, x: Tensor) -> Tensor:
        """Return what the prediction at a quarter of the input's size is made of."""
        taps = self.backbone(x)
        features: list[Tensor] = taps[:1]
        for stage, tap in zip(self.stages, taps[1:], strict=True):
            features = stage([*features, tap])
        return features[0]

    def _refined(self, features: Tensor, quarter: Tensor) -> Tensor:
        refined: Tensor = self.refined_head(self.deconv(torch.cat([features, quarter], dim=1)))
        return refined


def _prediction(c_in: int, maps: int) -> nn.Conv2d:
    """A pointwise convolution that starts close to the targets' background, zero."""
    conv = nn.Conv2d(c_in, maps, 1)
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _efficient_hrnet(phi: int) -> Callable[[Builder], Builder]:
    return register_model(
        task="bottom_up",
        input_size=(scaled_input(phi),) * 2,
        keypoints="coco17",
        stride=4,
        heatmap_kind="gaussian",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        paper=PAPER,
    )


def _build(phi: int, keypoints: str) -> nn.Module:
    return EfficientHRNet(phi, len(keypoint_format(keypoints).keypoints))


@_efficient_hrnet(0)
def efficient_hrnet_h0(*, keypoints: str = "coco17") -> nn.Module:
    """EfficientHRNet H0: branches of 32 to 256 channels on EfficientNet-B0."""
    return _build(0, keypoints)


@_efficient_hrnet(-1)
def efficient_hrnet_hm1(*, keypoints: str = "coco17") -> nn.Module:
    """EfficientHRNet H-1: φ = -1."""
    return _build(-1, keypoints)


@_efficient_hrnet(-2)
def efficient_hrnet_hm2(*, keypoints: str = "coco17") -> nn.Module:
    """EfficientHRNet H-2: φ = -2."""
    return _build(-2, keypoints)


@_efficient_hrnet(-3)
def efficient_hrnet_hm3(*, keypoints: str = "coco17") -> nn.Module:
    """EfficientHRNet H-3: φ = -3."""
    return _build(-3, keypoints)


@_efficient_hrnet(-4)
def efficient_hrnet_hm4(*, keypoints: str = "coco17") -> nn.Module:
    """EfficientHRNet H-4: φ = -4, the lightest."""
    return _build(-4, keypoints)
