"""Sizes of Neff et al. (https://arxiv.org/abs/2007.08090), true ones and those it prints.

Everything runs on torch's meta device: shapes without arithmetic.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
import torch
from torch import nn

from training.complexity import Complexity, count
from training.complexity_efficient import classifier_operations, published_figures
from training.models.efficient_hrnet import MODULES, scaled_widths
from training.models.efficient_hrnet import scaled_input as pose_input
from training.models.efficientnet import scaled_input
from training.models.mbconv import MBConv, scaled_channels, scaled_repeats
from training.registry import ModelEntry, get_model

PHIS = (0, -1, -2, -3, -4)


@lru_cache
def counted(name: str) -> tuple[ModelEntry, nn.Module, Complexity]:
    entry = get_model(name)
    with torch.device("meta"):
        model = entry.build()
    return entry, model, count(model, entry.input_size)


@pytest.mark.parametrize(
    ("name", "params", "macs_g"),
    [
        ("efficient_hrnet_h0", 19_725_359, "23.958"),
        ("efficient_hrnet_hm1", 13_004_446, "13.130"),
        ("efficient_hrnet_hm2", 8_263_495, "7.030"),
        ("efficient_hrnet_hm3", 5_360_390, "3.759"),
        ("efficient_hrnet_hm4", 2_764_706, "1.807"),
    ],
)
def test_true_size_of_efficient_hrnet(name: str, params: int, macs_g: str) -> None:
    _, _, found = counted(name)
    assert found.params == params
    assert f"{found.macs / 1e9:.3f}" == macs_g


@pytest.mark.parametrize(
    ("name", "params_m", "flops_g"),
    [
        ("efficient_hrnet_h0", 23.3, 25.6),
        ("efficient_hrnet_hm1", 16.0, 14.2),
        ("efficient_hrnet_hm2", 10.3, 7.7),
        ("efficient_hrnet_hm3", 6.9, 4.2),
        ("efficient_hrnet_hm4", 3.7, 2.1),
    ],
)
def test_printed_size_of_efficient_hrnet(name: str, params_m: float, flops_g: float) -> None:
    entry, model, true = counted(name)
    params, flops = published_figures(model, entry.input_size)
    assert math.floor(params / 1e5) / 10 == params_m  # the paper cuts, it does not round
    assert math.floor(flops / 1e8) / 10 == flops_g
    assert params > true.params
    assert flops > true.macs
    assert not any(module._forward_hooks for module in model.modules())


def test_the_rule_prices_deconvolutions_by_output_and_blocks_twice() -> None:
    # 24 input px x 3 channels x 5 outputs x 16 taps, and four times as many output px.
    deconv = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1, bias=False)
    assert published_figures(deconv, (6, 4)) == (240, 4 * 24 * 240)
    block = MBConv(4, 4, 3, 1, 6)
    true = count(block, (6, 4), channels=4)
    assert published_figures(nn.Sequential(nn.Conv2d(3, 4, 1), block), (6, 4)) == (
        16 + 2 * true.params,
        24 * 12 + true.macs,
    )


@pytest.mark.parametrize(
    ("name", "params", "with_cifar", "macs_g", "operations_g"),
    [
        ("efficientnet_b0", 5_288_548, 4_135_648, "0.386", "0.404"),
        ("efficientnet_bm1", 4_548_152, 3_503_252, "0.254", "0.268"),
        ("efficientnet_bm2", 3_463_750, 2_512_450, "0.148", "0.156"),
        ("efficientnet_bm3", 2_795_998, 1_931_098, "0.088", "0.093"),
        ("efficientnet_bm4", 2_056_282, 1_270_582, "0.046", "0.050"),
    ],
)
def test_size_of_the_classifiers(
    name: str, params: int, with_cifar: int, macs_g: str, operations_g: str
) -> None:
    entry, model, found = counted(name)
    assert found.params == params
    assert f"{found.macs / 1e9:.3f}" == macs_g
    assert f"{classifier_operations(model, entry.input_size) / 1e9:.3f}" == operations_g
    with torch.device("meta"):
        cifar = entry.build(classes=100)
    assert sum(p.numel() for p in cifar.parameters()) == with_cifar


def test_compound_scaling_gives_the_tables() -> None:
    assert [scaled_input(phi) for phi in PHIS] == [224, 195, 170, 145, 128]
    assert [pose_input(phi) for phi in PHIS] == [512, 480, 448, 416, 384]
    assert [scaled_widths(phi) for phi in PHIS] == [
        (32, 64, 128, 256),
        (26, 52, 103, 206),
        (21, 42, 83, 166),
        (17, 34, 67, 133),
        (14, 27, 54, 107),
    ]
    assert tuple(MODULES) == PHIS


def test_compound_scaling_goes_on_beyond_the_tables() -> None:
    # Up from B0 as down from it; the published B1 … B7 have hand-picked values instead.
    assert scaled_input(1) == 258
    assert scaled_channels(320, 1) == 352
    assert scaled_repeats(4, 1) == 5


def test_channels_stay_within_a_tenth() -> None:
    for channels in (16, 24, 32, 40, 80, 112, 192, 320, 1280):
        for phi in PHIS:
            scaled = scaled_channels(channels, phi)
            assert scaled % 8 == 0
            assert scaled >= 0.9 * channels * 1.1**phi
