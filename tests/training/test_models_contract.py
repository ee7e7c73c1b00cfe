"""What every registered network promises; new ones are covered by being registered."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import keypoint_format
from training.registry import ModelEntry, get_model, model_names

SLOW = {"hourglass_8stack"}


def images(entry: ModelEntry, batch: int) -> Tensor:
    width, height = entry.input_size
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in model_names()],
)
def entry(request: pytest.FixtureRequest) -> ModelEntry:
    return get_model(request.param)


@pytest.fixture(scope="module")
def model(entry: ModelEntry) -> nn.Module:
    """An untrained network in eval mode whose normalisation has seen a batch."""
    torch.manual_seed(0)
    model = entry.build()
    with torch.no_grad():
        model.train()(images(entry, 2))
    return model.eval()


def predict(model: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        heatmaps: list[Tensor] = model(x)
    return heatmaps


def test_the_entry_describes_an_input(entry: ModelEntry) -> None:
    spec = InputSpec(entry.input_size, color=entry.color, mean=entry.mean, std=entry.std)
    assert len(spec.mean) == len(spec.std) == 3
    assert all(0 <= value <= 255 for value in spec.mean)
    assert all(0 < value <= 255 for value in spec.std)
    assert entry.summary.endswith(".")
    assert entry.paper == "" or entry.paper.startswith("https://")


@pytest.mark.parametrize("batch", [1, 3])
def test_forward_gives_heatmaps_per_stage(entry: ModelEntry, model: nn.Module, batch: int) -> None:
    heatmaps = predict(model, images(entry, batch))
    assert isinstance(heatmaps, list)
    assert heatmaps
    width, height = entry.input_size
    keypoints = len(keypoint_format(entry.keypoint_format).keypoints)
    for stage in heatmaps:
        assert stage.shape == (batch, keypoints, height // entry.stride, width // entry.stride)
        assert stage.dtype == torch.float32
        assert torch.isfinite(stage).all()


def test_images_of_a_batch_do_not_mix(entry: ModelEntry, model: nn.Module) -> None:
    x = images(entry, 2)
    together = predict(model, x)[-1]
    alone = predict(model, x[1:])[-1]
    torch.testing.assert_close(together[1:], alone, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(together[:1], together[1:])


def test_backward_reaches_every_parameter(entry: ModelEntry) -> None:
    torch.manual_seed(1)
    model = entry.build().train()
    stages = model(images(entry, 2))
    sum((stage.square().mean() for stage in stages), start=torch.zeros(())).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    broken = [n for n, p in model.named_parameters() if not torch.isfinite(p.grad).all()]
    assert broken == []
    # A weight that no gradient moves is dead. (A bias before a normalisation is, by design.)
    dead = [n for n, p in model.named_parameters() if p.dim() > 1 and not p.grad.any()]
    assert dead == []


def test_state_dict_round_trip(entry: ModelEntry, model: nn.Module) -> None:
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    torch.manual_seed(2)
    other = entry.build().eval()
    x = images(entry, 1)
    assert not torch.equal(predict(other, x)[-1], predict(model, x)[-1])
    other.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    for expected, found in zip(predict(model, x), predict(other, x), strict=True):
        assert torch.equal(expected, found)


# torch.onnx copies torch's own tree specs, which warns about torch's own code.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
def test_onnx_export_equals_torch(entry: ModelEntry, model: nn.Module, tmp_path: Path) -> None:
    x = images(entry, 1)
    file = tmp_path / "model.onnx"
    torch.onnx.export(
        model, (x,), str(file), dynamo=True, opset_version=18, external_data=False, verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    expected = predict(model, x)
    assert len(found) == len(expected)
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-4, atol=1e-4)
