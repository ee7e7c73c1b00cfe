"""One small network per task, drawn pictures, and artifacts of it in every format and precision.

The networks need no training: a keypoint, or a person, is where a colour is strongest. Around that
stands what real networks are made of, so that quantizers have something to round: batch
normalisation, a depthwise convolution, ReLU6, and upsampling for the two resolutions of a bottom-up
network. What is converted once serves every test of the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from converters import CONVERTERS
from converters.base import Options
from converters.calibration import CalibrationSet
from converters.export_graph import Fold, export_graph
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo
from training.registry import MODELS, get_model, register_model

SIDE, STRIDE, KEYPOINTS = 64, 4, 16
COLOR_OF = [0] * 5 + [1] * 6 + [2] * 5  # keypoint -> red, green, blue, as in tests/conftest.py
BOX_CELLS = 6.0  # side of the box around a green place before its colour counts, heatmap px
# What converting and running need beside torch.
NEEDS = {
    "onnx": ["onnx", "onnxruntime", "openvino"],
    "openvino": ["onnx", "openvino"],
    "tflite": ["litert_torch", "ai_edge_litert"],
}


class Colours(nn.Module):
    """(N, 3, 64, 64) -> (N, 3, 16, 16): how red, green and blue a place is, 0 to about 1."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv2d(3, 3, STRIDE, stride=STRIDE, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.smooth = nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
        contrast = 1.5 * torch.eye(3) - 0.5  # a colour minus half of each of the two others
        with torch.no_grad():
            self.pool.weight.copy_(contrast[:, :, None, None].expand(-1, -1, STRIDE, STRIDE) / 16)
            self.norm.running_mean.fill_(-0.02)
            self.norm.running_var.fill_(0.25)
            # Not the same for every channel, so that scales per channel differ.
            line = torch.tensor([0.25, 0.5, 0.25])
            gain = torch.tensor([0.9, 1.0, 1.1])
            self.smooth.weight.copy_(gain[:, None, None, None] * torch.outer(line, line))

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.smooth(functional.relu6(self.norm(self.pool(image))))
        return found


class Heads(nn.Module):
    """Colours to maps by a matrix per px."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.head = nn.Conv2d(weight.shape[1], len(weight), 1)
        with torch.no_grad():
            self.head.weight.copy_(weight[:, :, None, None])
            self.head.bias.copy_(bias)

    def forward(self, colours: Tensor) -> Tensor:
        maps: Tensor = self.head(colours)
        return maps

    def parts(self, colours: Tensor, *counts: int) -> list[Tensor]:
        """The same maps, so many of them in a tensor."""
        assert self.head.bias is not None
        pairs = zip(self.head.weight.split(counts), self.head.bias.split(counts), strict=True)
        return [functional.conv2d(colours, *pair) for pair in pairs]


def of_keypoints(gain: float) -> Tensor:
    return gain * torch.eye(3)[COLOR_OF]


class TopDown(nn.Module):
    """Heatmaps of 16 keypoints."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours()
        self.heads = Heads(of_keypoints(8.0), torch.full((KEYPOINTS,), -2.0))

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.heads(self.colours(image))]


class BottomUp(nn.Module):
    """Heatmaps and tags, and finer heatmaps; every keypoint of a picture gets nearly one tag."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours()
        weight = torch.cat([of_keypoints(0.5), of_keypoints(0.02)])
        self.heads = Heads(weight, torch.zeros(2 * KEYPOINTS))
        self.fine = Heads(of_keypoints(0.5), torch.zeros(KEYPOINTS))

    def forward(self, image: Tensor) -> list[Tensor]:
        colours = self.colours(image)
        return [self.heads(colours), self.finer(colours)]

    def parts(self, image: Tensor) -> list[Tensor]:
        colours = self.colours(image)
        return [*self.heads.parts(colours, KEYPOINTS, KEYPOINTS), self.finer(colours)]

    def finer(self, colours: Tensor) -> Tensor:
        larger = functional.interpolate(colours, scale_factor=2, mode="nearest")
        maps: Tensor = self.fine(larger)
        return maps


class Detector(nn.Module):
    """A box of about 28 px around every green place, larger where it is greener."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours()
        weight = torch.tensor(
            [[0.0, 8.0, 0.0], [0.1, 0.3, 0.1], [0.1, 0.2, 0.1], [0.3, 0.5, 0.3], [0.3, 0.9, 0.3]]
        )
        self.heads = Heads(weight, torch.tensor([-4.0, 0.1, 0.1, BOX_CELLS, BOX_CELLS]))

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.heads(self.colours(image))]

    def parts(self, image: Tensor) -> list[Tensor]:
        return self.heads.parts(self.colours(image), 1, 2, 2)


NETWORKS: dict[str, tuple[type[nn.Module], str]] = {
    "top_down": (TopDown, "logits"),
    "bottom_up": (BottomUp, "gaussian"),
    "detector": (Detector, "logits"),
}


@pytest.fixture(scope="module")
def _networks() -> Iterator[None]:
    """Register the networks of this file for one module: the registry is everybody's."""
    get_model("hourglass_lite_s")  # fills the table, before something is added to it
    for task, (network, kind) in NETWORKS.items():

        def build(network: type[nn.Module] = network) -> nn.Module:
            """Sees colours."""
            return network()

        build.__name__ = f"contract_{task}"
        register_model(
            task=task,
            input_size=(SIDE, SIDE),
            stride=STRIDE,
            heatmap_kind=kind,
            mean=(127.0,) * 3,
            std=(128.0,) * 3,
        )(build)
    yield
    for task in NETWORKS:
        del MODELS[f"contract_{task}"]


def _drawn(scene: Any, seed: int, count: int) -> Image:
    """Return (count, 64, 64, 3) uint8 BGR: a person of coloured places on a noisy ground each."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        picture = scene((SIDE, SIDE)).person(rng.uniform(28, 36, 2), rng.uniform(24, 34)).image
        noise = rng.integers(-12, 13, picture.shape)
        pictures.append(np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8))
    return np.stack(pictures)


@pytest.fixture(scope="module")
def crops(scene: Any) -> Image:
    """The pictures of the contract."""
    return _drawn(scene, seed=1, count=8)


@pytest.fixture(scope="module")
def network(_networks: None) -> Callable[[str], tuple[nn.Module, CheckpointInfo]]:
    """Return the float network of a task."""

    @cache
    def build(task: str) -> tuple[nn.Module, CheckpointInfo]:
        module, kind = NETWORKS[task]
        return module().eval(), CheckpointInfo(f"contract_{task}", kind, (SIDE, SIDE))

    return build


@pytest.fixture(scope="module")
def expected(
    network: Callable[[str], tuple[nn.Module, CheckpointInfo]], crops: Image
) -> Callable[[str], list[list[FloatArray]]]:
    """Return, per crop of the contract, the maps of the float network in torch."""

    @cache
    def maps(task: str) -> list[list[FloatArray]]:
        model, info = network(task)
        graph = export_graph(model, info)
        tensors = [torch.from_numpy(to_tensor(crop[None], graph.input.spec)) for crop in crops]
        with torch.no_grad():
            return [[output.numpy() for output in graph.module(tensor)] for tensor in tensors]

    return maps


@pytest.fixture(scope="module")
def artifact_of(
    network: Callable[[str], tuple[nn.Module, CheckpointInfo]],
    scene: Any,
    need: Callable[[str], ModuleType],
) -> Callable[..., Artifact]:
    """Return a function: an artifact that was converted for real; it has no gate report.

    Its arguments are task, format, precision, and the kind of both ends: "plain"; "folded", pixels
    go in and keypoints come out; or "integers".
    """

    @cache
    def convert(task: str, file_format: str, precision: str, ends: str = "plain") -> Artifact:
        for module in NEEDS[file_format]:
            need(module)
        if (file_format, precision) == ("openvino", "int8"):
            need("nncf")
        entry = CONVERTERS[file_format, precision]
        calibration = None
        if entry.calibrated:
            calibration = CalibrationSet("drawn", _drawn(scene, seed=2, count=32))
        model, info = network(task)
        fold = Fold(pixels=ends == "folded", decoder=ends == "folded")
        options = Options(fold=fold, integer_io=ends == "integers")
        converted = entry.load()(model, info, calibration, options)
        manifest = describe(model, info, "ab" * 32, converted, calibration)
        return Artifact(Path(manifest.name), manifest, converted.model, converted.weights)

    return convert
