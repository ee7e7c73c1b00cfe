"""Operation counts worked out by hand on inputs of (1, 3, 4, 6): 24 pixels, 72 values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.complexity_s3 import MEBI, ccw_complexity, lite_hrnet_flops
from training.models.lite_hrnet_blocks import GlobalAveragePool

SIZE = (6, 4)  # (w, h)


@pytest.mark.parametrize(
    ("module", "flops"),
    [
        # 8 outputs x 24 px x (3 inputs x 9 taps); the bias adds one per output value.
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), 5184),
        (nn.Conv2d(3, 8, 3, padding=1), 5184 + 192),
        # Depthwise at stride 2: 2 x 3 outputs of 9 taps per channel.
        (nn.Conv2d(3, 3, 3, 2, 1, groups=3, bias=False), 162),
        (nn.BatchNorm2d(3), 144),
        (nn.ReLU(), 72),
        (nn.ReLU(inplace=True), 72),
        (nn.Sigmoid(), 0),
        # 8 x 12 outputs, the channels do not count.
        (nn.Upsample(scale_factor=2.0, mode="nearest"), 96),
        # 3 channels x (4 + 1) x (6 + 1).
        (GlobalAveragePool(), 105),
        (nn.Identity(), 0),
    ],
)
def test_modules(module: nn.Module, flops: int) -> None:
    assert lite_hrnet_flops(nn.Sequential(module), SIZE) == flops


def test_a_shared_module_counts_once_with_its_last_call() -> None:
    relu = nn.ReLU()
    pool = nn.MaxPool2d(2)
    assert lite_hrnet_flops(nn.Sequential(relu, relu), SIZE) == 72
    assert lite_hrnet_flops(nn.Sequential(relu, pool, relu), SIZE) == 18


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lite_hrnet_flops(model, SIZE)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())


def test_table_2_of_the_paper() -> None:
    table = ccw_complexity((40, 80), ((64, 64), (32, 32)))
    printed = {row: f"{value / MEBI:.{1 if value > MEBI else 2}f}" for row, value in table.items()}
    assert printed == {
        "1x1 convolution": "12.5",
        "3x3 depthwise convolution": "2.1",
        "CCW with spatial weights": "0.25",
        "CCW with multi-resolution weights": "0.26",
        "CCW": "0.51",
    }


def test_table_2_needs_a_size_per_branch() -> None:
    with pytest.raises(ValueError, match="zip"):
        ccw_complexity((40, 80), ((64, 64),))
