"""Published sizes of https://arxiv.org/abs/2104.06403, to the unit and to the printed digits.

The paper prints 273.4M, 205.2M, ...; the figures here have a digit more. Those of 256×256 are for
MPII's 16 keypoints, the others for COCO's 17.
"""

from __future__ import annotations

import pytest

from training.complexity_s3 import MEBI, lite_hrnet_flops
from training.registry import get_model


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("lite_hrnet_18", 1_130_728),
        ("lite_hrnet_30", 1_763_676),
        ("naive_lite_hrnet_18", 760_334),
        ("wider_naive_lite_hrnet_18", 1_318_584),
    ],
)
def test_parameters(name: str, params: int) -> None:
    assert sum(p.numel() for p in get_model(name).build().parameters()) == params


@pytest.mark.parametrize(
    ("name", "input_size", "keypoints", "flops_mebi"),
    [
        ("lite_hrnet_18", (256, 256), "mpii16", "273.43"),
        ("lite_hrnet_18", (192, 256), "coco17", "205.23"),
        ("lite_hrnet_18", (288, 384), "coco17", "461.56"),
        ("lite_hrnet_30", (256, 256), "mpii16", "425.34"),
        ("lite_hrnet_30", (192, 256), "coco17", "319.20"),
        ("lite_hrnet_30", (288, 384), "coco17", "717.84"),
        ("naive_lite_hrnet_18", (256, 256), "mpii16", "259.55"),
        ("wider_naive_lite_hrnet_18", (192, 256), "coco17", "311.05"),
    ],
)
def test_operations(
    name: str, input_size: tuple[int, int], keypoints: str, flops_mebi: str
) -> None:
    model = get_model(name).build(keypoints=keypoints)
    assert f"{lite_hrnet_flops(model, input_size) / MEBI:.2f}" == flops_mebi
