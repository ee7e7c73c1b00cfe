from __future__ import annotations

import pytest
import torch
from torch import nn

from training.models.blocks import BLOCKS, EXPANSION, Bottleneck


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize(("in_channels", "planes"), [(8, 4), (6, 4)])
def test_blocks_keep_the_size_and_double_the_planes(
    name: str, in_channels: int, planes: int
) -> None:
    block = BLOCKS[name](in_channels, planes).eval()
    out = block(torch.randn(2, in_channels, 5, 7))
    assert out.shape == (2, EXPANSION * planes, 5, 7)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_whose_last_convolution_is_zero_is_its_shortcut(name: str) -> None:
    torch.manual_seed(0)
    block = BLOCKS[name](8, 4).eval()
    assert isinstance(block, Bottleneck)
    assert isinstance(block.shortcut, nn.Identity)
    last = [m for m in block.body.modules() if isinstance(m, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    x = torch.randn(1, 8, 3, 3)
    assert torch.equal(block(x), x)


def test_the_input_survives_the_block() -> None:
    # ReLUs work in place; the skip branch of an hourglass reads the same tensor.
    x = torch.randn(1, 8, 3, 3)
    copy = x.clone()
    BLOCKS["residual"](8, 4)(x)
    assert torch.equal(x, copy)


def test_the_separable_block_has_dense_convolutions_only_where_they_are_pointwise() -> None:
    block = BLOCKS["separable"](8, 4)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.kernel_size, m.groups) for m in convs] == [
        ((3, 3), 8),
        ((1, 1), 1),
        ((3, 3), 4),
        ((1, 1), 1),
        ((3, 3), 4),
        ((1, 1), 1),
    ]
    assert all(m.bias is not None for m in convs)
