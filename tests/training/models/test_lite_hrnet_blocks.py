from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.lite_hrnet_blocks import (
    BLOCKS,
    ConditionalChannelWeighting,
    CrossResolutionWeighting,
    Fusion,
    ShuffleBlock,
    SpatialWeighting,
    Stem,
    Transition,
    interleave,
)

CHANNELS = (20, 40, 80)


def branches(channels: Sequence[int] = CHANNELS, side: int = 16, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, c, side >> i, 2 * side >> i, generator=generator)
        for i, c in enumerate(channels)
    ]


def shapes(tensors: Sequence[Tensor]) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in tensors]


def with_statistics(module: nn.Module, x: list[Tensor]) -> nn.Module:
    """Return the module in eval mode after one batch in training mode."""
    with torch.no_grad():
        module.train()(x)
    return module.eval()


def test_interleave_takes_channels_in_turn() -> None:
    a = torch.arange(6.0).reshape(1, 3, 1, 2)
    shuffled = interleave(a, 10 + a)
    assert shuffled.flatten().tolist() == [0, 1, 10, 11, 2, 3, 12, 13, 4, 5, 14, 15]
    assert shuffled.shape == (1, 6, 1, 2)


def test_the_stem_quarters_both_sides() -> None:
    assert Stem(32)(torch.randn(2, 3, 32, 64)).shape == (2, 32, 8, 16)


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_keep_shapes_and_the_first_halves(name: str) -> None:
    x = branches()
    y = BLOCKS[name](CHANNELS)(x)
    assert shapes(y) == shapes(x)
    for before, after, channels in zip(x, y, CHANNELS, strict=True):
        # Half of the channels pass untouched and lie at the even places after the shuffle.
        assert torch.equal(after[:, ::2], before[:, : channels // 2])
        assert not torch.allclose(after[:, 1::2], before[:, channels // 2 :])


def test_only_conditional_channel_weighting_mixes_resolutions() -> None:
    x = branches()
    other = [x[0], x[1], x[2] + torch.randn_like(x[2])]
    for name, mixes in (("ccw", True), ("shuffle", False)):
        block = with_statistics(BLOCKS[name](CHANNELS), x)
        with torch.no_grad():
            assert torch.equal(block(x)[0], block(other)[0]) is not mixes


def test_cross_resolution_weights_are_those_of_adaptive_pooling() -> None:
    x = branches()
    module = with_statistics(CrossResolutionWeighting(CHANNELS), x)
    size = x[-1].shape[2:]
    with torch.no_grad():
        pooled = torch.cat([F.adaptive_avg_pool2d(b, size) for b in x], dim=1)
        weights = module.weights(pooled)
        y = module(x)
    assert weights.min() > 0
    assert weights.max() < 1
    # BN in front of the sigmoid, and no ReLU: weights fall on both sides of a half.
    assert weights.min() < 0.4 < 0.6 < weights.max()
    for before, after, weight in zip(x, y, weights.split(CHANNELS, dim=1), strict=True):
        torch.testing.assert_close(after, before * F.interpolate(weight, before.shape[2:]))


def test_spatial_weights_are_one_per_channel_in_0_to_1() -> None:
    module = SpatialWeighting(8)
    x = 3 * torch.randn(2, 8, 6, 4)
    with torch.no_grad():
        ratio = module(x) / x
        hidden = F.relu(module.weights[1](F.adaptive_avg_pool2d(x, 1)))
        expected = torch.sigmoid(module.weights[3](hidden))
    assert ratio.min() > 0
    assert ratio.max() < 1
    torch.testing.assert_close(ratio, expected.expand_as(x))


def test_reduction_rounds_down() -> None:
    block = ConditionalChannelWeighting((40, 80))
    assert block.cross_resolution.weights[0][0].out_channels == 7  # 60 / 8
    assert block.branches[0][1].weights[1].out_channels == 5  # 20 / 4


def test_fusion_sums_all_branches_at_every_resolution() -> None:
    x = branches()
    module = with_statistics(Fusion(CHANNELS), x)
    with torch.no_grad():
        y = module(x)
        paths = module.targets[1].paths
        expected = F.relu(paths[0](x[0]) + x[1] + paths[2](x[2]))
    assert shapes(y) == shapes(x)
    torch.testing.assert_close(y[1], expected)


def test_transition_adds_a_branch_and_changes_channels_where_needed() -> None:
    x = branches((32,))
    y = Transition((32,), (40, 80))(x)
    assert shapes(y) == [(2, 40, 16, 32), (2, 80, 8, 16)]
    z = Transition((40, 80), (40, 80, 160))(y)
    assert shapes(z) == [(2, 40, 16, 32), (2, 80, 8, 16), (2, 160, 4, 8)]
    assert z[0] is y[0]


def test_a_shuffle_block_has_two_pointwise_convolutions_of_half_the_channels() -> None:
    kernels = [p for p in ShuffleBlock(12).parameters() if p.dim() == 4]
    assert [tuple(p.shape) for p in kernels] == [(6, 6, 1, 1), (6, 1, 3, 3), (6, 6, 1, 1)]
