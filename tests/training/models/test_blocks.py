from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_pose.errors import UsageError
from training.models.blocks import BLOCKS, chain
from training.models.blocks_base import EXPANSION, Bottleneck, PostActivation
from training.models.blocks_dice import DiceUnit, area_shares
from training.models.blocks_dilated import ParallelDilations
from training.models.blocks_ghost import GhostModule
from training.models.blocks_shuffle import ChannelShuffle

SIDE = 8
RECTIFIED = {"shuffle", "dilated", "dilated_separable", "multidilated"}


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize(("in_channels", "planes"), [(8, 4), (6, 4), (12, 6)])
def test_blocks_keep_the_size_and_double_the_planes(
    name: str, in_channels: int, planes: int
) -> None:
    block = BLOCKS[name](in_channels, planes, SIDE).eval()
    out = block(torch.randn(2, in_channels, 5, 7))
    assert out.shape == (2, EXPANSION * planes, 5, 7)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_whose_last_layer_is_zero_is_its_shortcut(name: str) -> None:
    torch.manual_seed(0)
    block = BLOCKS[name](8, 4, SIDE).eval()
    assert isinstance(block.shortcut, nn.Identity)
    weighted = [m for m in block.body.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    for parameter in weighted[-1].parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 8, 3, 3)
    assert torch.equal(block(x), x.relu() if name in RECTIFIED else x)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_the_input_survives_the_block(name: str) -> None:
    # ReLUs work in place; the skip branch of an hourglass reads the same tensor.
    x = torch.randn(2, 8, 3, 3)
    copy = x.clone()
    BLOCKS[name](8, 4, SIDE)(x)
    assert torch.equal(x, copy)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_weight_is_trained(name: str) -> None:
    torch.manual_seed(0)
    block = BLOCKS[name](6, 16, SIDE).train()
    block(torch.randn(3, 6, 4, 4)).square().sum().backward()
    missing = [n for n, p in block.named_parameters() if p.grad is None]
    assert missing == []
    dead = [n for n, p in block.named_parameters() if p.dim() > 1 and not p.grad.any()]
    assert dead == []


def test_the_separable_block_has_dense_convolutions_only_where_they_are_pointwise() -> None:
    block = BLOCKS["separable"](8, 4, SIDE)
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


def test_a_chain_of_one_is_the_block_itself() -> None:
    assert isinstance(chain(BLOCKS["residual"], 1, 6, 4, SIDE), Bottleneck)
    three = chain(BLOCKS["dilated"], 3, 6, 4, SIDE)
    assert [type(block) for block in three.children()] == [PostActivation] * 3
    assert three(torch.randn(2, 6, 3, 3)).shape == (2, 8, 3, 3)


def test_ghosts_are_made_from_the_intrinsic_half() -> None:
    torch.manual_seed(0)
    module = GhostModule(8).eval()
    x = torch.randn(2, 8, 5, 5)
    out = module(x)
    assert out.shape == x.shape
    assert torch.equal(out[:, :4], module.primary(x))
    assert torch.equal(out[:, 4:], module.cheap(out[:, :4]))


def test_ghost_needs_two_halves() -> None:
    with pytest.raises(UsageError, match="found 5 planes, expected an even number"):
        BLOCKS["ghost"](10, 5, SIDE)


def test_the_shuffle_deals_each_group_to_all() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1).expand(1, 6, 2, 3)
    out = ChannelShuffle(2)(x)
    assert out[0, :, 0, 0].tolist() == [0, 3, 1, 4, 2, 5]
    assert out.shape == x.shape
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))


def test_parallel_dilations_reach_as_far_as_they_say_and_are_summed() -> None:
    module = ParallelDilations(1).eval()
    for conv in (m for m in module.modules() if isinstance(m, nn.Conv2d)):
        nn.init.ones_(conv.weight)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    out = module(point)[0, 0]
    assert out[4].round().tolist() == [0, 1, 1, 1, 3, 1, 1, 1, 0]


# DiCE


def along_height(x: Tensor, kernels: Tensor) -> Tensor:
    """Row h of the result is row h of the input, (channels, width), convolved with kernel h."""
    rows = [
        F.conv2d(x[:, None, :, h], kernels[h : h + 1], padding=1)[:, 0] for h in range(x.shape[2])
    ]
    return torch.stack(rows, dim=2)


def dice_by_hand(unit: DiceUnit, x: Tensor) -> Tensor:
    """The unit at its own size, as the paper draws it: concatenate, shuffle, groups of three."""
    # Kernels of columns lie over (height, channels).
    columns = unit.width.weight.transpose(2, 3)
    across = along_height(x.transpose(2, 3), columns).transpose(2, 3)
    views = [unit.depth(x), along_height(x, unit.height.weight), across]
    ready = [mix.body[1](mix.body[0](view)) for mix, view in zip(unit.mix, views, strict=True)]
    shuffled = torch.stack(ready, dim=2).flatten(1, 2)
    weights = torch.stack([mix.body[2].weight[:, 0] for mix in unit.mix], dim=1)
    y = unit.mixed(F.conv2d(shuffled, weights, groups=x.shape[1]))
    squeezed = y.mean(dim=(2, 3), keepdim=True)
    gates = unit.global_fusion[3](unit.global_fusion[1](squeezed).relu()).sigmoid()
    return unit.local_fusion(y) * gates


def test_dice_at_its_own_size() -> None:
    torch.manual_seed(0)
    unit = DiceUnit(channels=4, side=6).eval()
    x = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(unit(x), dice_by_hand(unit, x), rtol=1e-5, atol=1e-6)


def test_dice_at_half_its_size_is_up_sampling_and_pooling() -> None:
    torch.manual_seed(0)
    unit = DiceUnit(channels=4, side=6).eval()
    x = torch.randn(1, 4, 3, 6)
    with torch.no_grad():
        large = along_height(x.repeat_interleave(2, dim=2), unit.height.weight)
        expected = large.unflatten(2, (3, 2)).mean(dim=3)
        seen: list[Tensor] = []
        unit.mix[1].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        unit(x)
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-6)


# torch.onnx copies torch's own tree specs, which warns about torch's own code.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
def test_the_resized_kernels_of_dice_are_constants_when_exported() -> None:
    # Else int8 quantisation does not see weights in them.
    program = torch.onnx.export(
        DiceUnit(channels=4, side=64).eval(), (torch.zeros(1, 4, 32, 48),), dynamo=True,
        opset_version=18, verbose=False,
    )  # fmt: skip
    assert program is not None
    graph = program.model_proto.graph
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convs) == 3 + 3 + 1 + 2
    assert {node.input[1] for node in convs} <= constants.keys()
    assert [32, 1, 3, 3] in constants.values()
    assert [48, 1, 3, 3] in constants.values()


def test_area_shares() -> None:
    assert area_shares(4, 2) == (((0, 1), (2, 3)), ((0.5, 0.5), (0.5, 0.5)))
    assert area_shares(2, 4) == (((0,), (0,), (1,), (1,)), ((1,), (1,), (1,), (1,)))
    assert area_shares(4, 3) == (
        ((0, 1), (1, 2), (2, 3)),
        ((0.75, 0.25), (0.5, 0.5), (0.25, 0.75)),
    )


@pytest.mark.parametrize(("stored", "length"), [(64, 48), (64, 40), (8, 7), (7, 8), (5, 12)])
def test_area_shares_are_averages(stored: int, length: int) -> None:
    indices, shares = area_shares(stored, length)
    assert {old for row in indices for old in row} == set(range(stored))
    assert all(sum(row) == pytest.approx(1) for row in shares)
    # Every stored kernel counts as much as any other.
    totals = [0.0] * stored
    for row, weights in zip(indices, shares, strict=True):
        for old, weight in zip(row, weights, strict=True):
            totals[old] += weight
    assert totals == pytest.approx([length / stored] * stored)
