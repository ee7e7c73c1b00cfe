"""The light hourglass and the depthwise convolution that makes it quick to train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_pose.errors import EdgePoseError
from training.complexity import count
from training.models.depthwise import DepthwiseConv2d
from training.models.efficientnet_lite import EfficientNetLite0, load_imagenet
from training.models.hourglass_lite import HourglassLite, scaled_channels, scaled_input


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(9, 12), (10, 7)])
def test_depthwise_gradients_are_those_of_the_plain_convolution(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    ours = DepthwiseConv2d(6, kernel, stride).double()
    plain = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    a, b = ours(x), plain(y)
    assert torch.equal(a, b)
    weight = torch.randn_like(a)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert torch.allclose(x.grad, y.grad, atol=1e-12)
    assert ours.weight.grad is not None
    assert plain.weight.grad is not None
    assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-12)


def test_depthwise_under_bfloat16_autocast() -> None:
    layer = DepthwiseConv2d(8, 5, 2)
    x = torch.randn(2, 8, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert layer.weight.grad is not None
    assert torch.isfinite(layer.weight.grad).all()


def test_scaling_with_phi() -> None:
    assert (scaled_channels(0), scaled_input(0)) == (64, 192)
    assert (scaled_channels(1), scaled_input(1)) == (80, 256)
    assert scaled_channels(-1) < 64


def test_the_default_stays_within_its_budget() -> None:
    complexity = count(HourglassLite(), (192, 192))
    assert complexity.macs <= 600_000_000
    assert complexity.params * 2 < 8_000_000  # bytes of a float16 checkpoint


def test_imagenet_weights_fit_and_give_features() -> None:
    model = EfficientNetLite0()
    before = model.stem[0].weight.detach().clone()
    load_imagenet(model)
    assert not torch.equal(before, model.stem[0].weight)
    model.eval()
    with torch.no_grad():
        features = model(torch.randn(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3),
    ]  # fmt: skip
    assert all(torch.isfinite(f).all() for f in features)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(EdgePoseError, match="not those of EfficientNet-Lite0"):
        load_imagenet(EfficientNetLite0(), tmp_path / "other.pth")
