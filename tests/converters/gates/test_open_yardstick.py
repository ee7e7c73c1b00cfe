"""The gate from checkpoint to verdict, task by task, with torch networks of two layers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from converters.data import ConversionData
from converters.gates import YARDSTICKS, Limits, open_yardstick
from edge_pose.errors import UsageError
from training.checkpoint import CheckpointInfo
from training.registry import MODELS, register_model

OUTPUTS = {
    "top_down": ("heatmap", "logits", [(1, 16, 16, 16)]),
    "bottom_up": ("associative_embedding", "gaussian", [(1, 32, 16, 16), (1, 16, 32, 32)]),
    "detector": ("centers", "logits", [(1, 5, 16, 16)]),
}


class Tiny(nn.Module):
    """Untrained; every output px looks at 8×8 px."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        strides = (4, 2)[: len(channels)]
        self.heads = nn.ModuleList(
            nn.Conv2d(3, count, 8, stride, 4 - stride // 2)
            for count, stride in zip(channels, strides, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        return [head(x) for head in self.heads]


def tiny_top_down_gate() -> nn.Module:
    """Top-down."""
    return Tiny((16,))


def tiny_bottom_up_gate() -> nn.Module:
    """Bottom-up."""
    return Tiny((32, 16))


def tiny_detector_gate() -> nn.Module:
    """Detector."""
    return Tiny((5,))


@pytest.fixture(autouse=True, scope="module")
def _networks() -> Iterator[None]:
    for task, build in (
        ("top_down", tiny_top_down_gate),
        ("bottom_up", tiny_bottom_up_gate),
        ("detector", tiny_detector_gate),
    ):
        register_model(task=task, input_size=(64, 64), heatmap_kind=OUTPUTS[task][1])(build)
    yield
    for task in OUTPUTS:
        del MODELS[f"tiny_{task}_gate"]


class TorchRuntime:
    """Runs a torch module as a backend would."""

    name, version, device = "torch", "0", "CPU"

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()

    @torch.no_grad()
    def run(self, tensor: Any) -> list[Any]:
        return [output.numpy() for output in self.model(torch.from_numpy(tensor))]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("task", list(YARDSTICKS))
def test_noise_in_the_weights_fails(
    task: str, lab: SimpleNamespace, drawn: ConversionData, limits: Limits
) -> None:
    torch.manual_seed(2)
    decoder, kind, shapes = OUTPUTS[task]
    info = CheckpointInfo(f"tiny_{task}_gate", kind, (64, 64))
    model = info.build().eval()
    yardstick = open_yardstick(model, info, drawn)
    artifact = lab.artifact_of(SimpleNamespace(heatmap_kind=kind), task, decoder, shapes)
    same = yardstick.gate(artifact, TorchRuntime(model), limits)
    assert same.reasons == ()
    assert (same.dataset, same.n_persons >= 100) == ("generated", True)
    noisy = copy.deepcopy(model)
    for weight in noisy.parameters():
        weight.data += torch.randn_like(weight) * weight.std()
    broken = yardstick.gate(artifact, TorchRuntime(noisy), limits)
    assert not broken.passed
    assert same.data_sha256 == broken.data_sha256


def test_classifiers_have_no_gate(drawn: ConversionData) -> None:
    from training.registry import model_names

    classifier = next(n for n in model_names() if MODELS[n].task == "classifier")
    info = CheckpointInfo(classifier, "logits", (32, 32))
    with pytest.raises(UsageError, match="task with a gate 'classifier': unknown"):
        open_yardstick(nn.Identity(), info, drawn)
