"""Published sizes, to the unit.

Hourglass rows: Table 1 of https://arxiv.org/abs/2302.04815, whose MAdds column follows the rule of
`Complexity.madds_document`; the paper prints two decimals, the figures here have four. The networks
stand on the meta device: counting needs shapes, no numbers.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.complexity import count
from training.registry import get_model


def weightless(name: str) -> nn.Module:
    with torch.device("meta"):
        return get_model(name).build()


def parameters(name: str) -> int:
    return sum(p.numel() for p in weightless(name).parameters())


@pytest.mark.parametrize(
    ("name", "params", "madds_g"),
    [
        ("hourglass_1stack", 3_586_960, "5.9044"),
        ("hourglass_2stack", 6_730_912, "9.1408"),
        ("hourglass_3stack", 9_874_864, "12.3771"),
        ("hourglass_ghost", 2_531_840, "4.0298"),
        # Prints 0.94M and 4.10G in the paper; no grouping gives both.
        ("hourglass_shuffle", 944_544, "4.0466"),
        # The paper prints no MAdds.
        ("hourglass_dice", 3_239_776, "6.8387"),
        ("hourglass_dilated", 16_508_576, "15.2860"),
        ("hourglass_dilated_separable", 2_986_912, "6.7819"),
        ("hourglass_multidilated", 4_294_816, "7.6254"),
        ("hourglass_multidilated_all", 3_898_144, "5.7569"),
        ("hourglass_168", 2_988_152, "4.4246"),
        ("hourglass_168_separable", 1_361_000, "2.3365"),
        ("hourglass_168_resconcat_narrowres", 1_417_616, "2.5670"),
    ],
)
def test_hourglass_rows(name: str, params: int, madds_g: str) -> None:
    found = count(weightless(name), get_model(name).input_size)
    assert found.params == params
    assert f"{found.madds_document / 1e9:.4f}" == madds_g


def test_every_further_stack_adds_the_same() -> None:
    per_stack = 6_730_912 - 3_586_960
    assert parameters("hourglass_8stack") == 3_586_960 + 7 * per_stack


def test_two_four_and_eight_stacks_of_equal_size() -> None:
    sizes = [parameters(f"hourglass_{stacks}stack_equal") for stacks in (2, 4, 8)]
    assert sizes[2] == parameters("hourglass_8stack")
    assert max(sizes) < 1.04 * min(sizes)
