"""The centre-point detector: its size, its outputs and what it starts from."""

from __future__ import annotations

import pytest
import torch

from training.complexity import count
from training.models.center_hourglass import PRIOR, center_hourglass_s
from training.models.efficientnet_lite import EfficientNetLite0, load_imagenet
from training.registry import get_model


def test_it_is_light() -> None:
    entry = get_model("center_hourglass_s")
    assert (entry.task, entry.input_size, entry.stride) == ("detector", (320, 320), 4)
    complexity = count(entry.build(), entry.input_size)
    assert complexity.params == 603_297
    assert complexity.macs == 484_390_400


@pytest.mark.parametrize("size", [(64, 64), (96, 32)])
def test_five_maps_at_stride_four(size: tuple[int, int]) -> None:
    width, height = size
    (maps,) = center_hourglass_s().eval()(torch.zeros(3, 3, height, width))
    assert maps.shape == (3, 5, height // 4, width // 4)


def test_before_training_nobody_is_anywhere() -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        (maps,) = center_hourglass_s().eval()(torch.randn(1, 3, 64, 64))
    assert maps[:, 0].sigmoid().numpy() == pytest.approx(PRIOR, abs=PRIOR)
    assert maps[:, 1:3].abs().max() < 0.5
    assert maps[:, 3:].numpy() == pytest.approx(16, abs=8)


def test_imagenet_weights_are_those_of_the_whole_classifier() -> None:
    whole = EfficientNetLite0()
    load_imagenet(whole)
    theirs, ours = whole.state_dict(), center_hourglass_s(pretrained=True).down.state_dict()
    assert ours
    assert all(torch.equal(theirs[name], value) for name, value in ours.items())


def test_every_weight_learns() -> None:
    model = center_hourglass_s()
    model(torch.randn(2, 3, 64, 64))[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
