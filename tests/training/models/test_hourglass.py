from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_pose.errors import UsageError
from training.models.blocks import BLOCKS
from training.models.hourglass import HourglassConfig, ResConcatMerge, StackedHourglass
from training.models.hourglass_variants import hourglass_2stack, hourglass_168_ghost
from training.registry import get_model

SMALL: dict[str, object] = {"inplanes": 4, "num_feats": 6, "depth": 2}


def build(**changes: object) -> StackedHourglass:
    torch.manual_seed(0)
    return StackedHourglass(HourglassConfig(**(SMALL | changes))).eval()  # type: ignore[arg-type]


def test_shapes_follow_the_configuration() -> None:
    model = build(stacks=3, num_keypoints=17)
    heatmaps, necks = model.forward_with_necks(torch.randn(2, 3, 32, 48))
    assert [tuple(h.shape) for h in heatmaps] == [(2, 17, 8, 12)] * 3
    assert [tuple(n.shape) for n in necks] == [(2, 12, 2, 3)] * 3


def test_thirteen_blocks_per_hourglass_of_depth_four() -> None:
    hourglass = build(depth=4).stages[0].hourglass
    assert len(hourglass.skip) + len(hourglass.down) + len(hourglass.up) + 1 == 13


def test_forward_and_forward_with_necks_agree() -> None:
    model = build()
    x = torch.randn(1, 3, 32, 32)
    for a, b in zip(model(x), model.forward_with_necks(x)[0], strict=True):
        assert torch.equal(a, b)


def test_narrow_res_reaches_the_next_prediction_but_not_the_necks() -> None:
    plain, narrow = build(), build(narrow_res=True)
    narrow.load_state_dict(plain.state_dict())  # it has no parameters of its own
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        plain_maps, plain_necks = plain.forward_with_necks(x)
        narrow_maps, narrow_necks = narrow.forward_with_necks(x)
    assert torch.equal(plain_maps[0], narrow_maps[0])
    assert not torch.allclose(plain_maps[1], narrow_maps[1])
    # The necks are compared by the perceptual loss as they are before the addition.
    for a, b in zip(plain_necks, narrow_necks, strict=True):
        assert torch.equal(a, b)


def test_the_previous_neck_is_added_to_the_neck() -> None:
    hourglass = build().stages[0].hourglass
    x = torch.randn(1, 12, 8, 8)
    with torch.no_grad():
        _, neck = hourglass(x)
        cancelled, _ = hourglass(x, -neck)
        hourglass.neck = nn.Module()  # replaced by zeros below
        hourglass.neck.forward = torch.zeros_like
        zeroed, _ = hourglass(x)
    torch.testing.assert_close(cancelled, zeroed)


def test_resconcat_keeps_the_input_and_the_features_apart() -> None:
    merge = ResConcatMerge(channels=2, num_keypoints=3)
    with torch.no_grad():
        for conv in (merge.from_features, merge.from_heatmaps, merge.reduce):
            conv.bias.zero_()
        merge.from_features.weight.copy_(torch.eye(2)[:, :, None, None])
        merge.from_heatmaps.weight.fill_(1.0)
        # Take channel 0 from the input's half and channel 1 from the features' half.
        merge.reduce.weight.zero_()
        merge.reduce.weight[0, 0] = 1.0
        merge.reduce.weight[1, 3] = 1.0
        x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
        features = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1)
        heatmaps = torch.tensor([100.0, 200.0, 300.0]).view(1, 3, 1, 1)
        out = merge(x, features, heatmaps)
    assert out.flatten().tolist() == [601.0, 20.0]


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_any_block_anywhere_at_any_multiple_of_the_neck(block: str) -> None:
    model = build(stem_block=block, hourglass_block=block, stack_block=block)
    with torch.no_grad():
        for size in ((32, 32), (48, 16)):
            stages = model(torch.randn(1, 3, *size))
            assert [tuple(s.shape[2:]) for s in stages] == [(size[0] // 4, size[1] // 4)] * 2


def test_three_residuals_per_location() -> None:
    one, three = build(), build(residuals=3)

    def locations(model: StackedHourglass) -> int:
        return sum(type(m).__name__ == "Bottleneck" for m in model.stages.modules())

    assert locations(three) == 3 * locations(one)
    x = torch.randn(1, 3, 32, 32)
    assert [h.shape for h in three(x)] == [h.shape for h in one(x)]


@pytest.mark.parametrize("head_convs", [1, 2, 3])
def test_convolutions_of_the_head(head_convs: int) -> None:
    stage = build(head_convs=head_convs, stacks=1).stages[0]
    pointwise = [m for m in stage.features if isinstance(m, nn.Conv2d)]
    assert len(pointwise) + 1 == head_convs  # and `score`
    assert sum(isinstance(m, nn.BatchNorm2d) for m in stage.features) == len(pointwise)


def test_a_registered_network_takes_changes() -> None:
    model = hourglass_2stack(
        **(SMALL | {"stacks": 3, "hourglass_block": "ghost"}), keypoints="coco17"
    )
    stages = model(torch.randn(2, 3, 32, 32))
    assert [tuple(s.shape) for s in stages] == [(2, 17, 8, 8)] * 3


def test_fourteen_joints() -> None:
    model = hourglass_168_ghost(**SMALL, keypoints="lsp14")
    assert model(torch.randn(2, 3, 32, 32))[-1].shape == (2, 14, 8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"residual": 3}, "hourglass option 'residual': unknown, did you mean 'residuals'"),
        ({"num_keypoints": 14}, "hourglass option 'num_keypoints': unknown"),
        ({"residuals": "three"}, "residuals: found 'three', expected int"),
        ({"residuals": True}, "residuals: found True, expected int"),
        ({"stacks": 0}, "stacks: found 0, expected at least 1"),
        ({"keypoints": "mpi16"}, "keypoint format 'mpi16': unknown, did you mean 'mpii16'"),
        (
            {"hourglass_block": "separabel"},
            "hourglass_block 'separabel': unknown, did you mean 'separable'",
        ),
        ({"stack_block": "dise"}, "stack_block 'dise': unknown, did you mean 'dice'"),
        ({"stem_block": "gost"}, "stem_block 'gost': unknown, did you mean 'ghost'"),
        ({"merge": "concat"}, "merge 'concat': unknown, did you mean 'resconcat'"),
    ],
)
def test_wrong_changes_are_usage_errors(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_model("hourglass_2stack").build(**(SMALL | changes))


# Checkpoints are addressed by these names.
OFTEN_USED = {
    "stem.0.weight",
    "stem.3.shortcut.weight",
    "stem.6.body.0.running_mean",
    "stages.0.hourglass.skip.3.body.3.weight",
    "stages.0.hourglass.neck.body.6.bias",
    "stages.1.hourglass.up.0.body.0.weight",
    "stages.1.features.0.body.0.weight",
    "stages.1.features.1.weight",
    "stages.1.features.2.running_var",
    "stages.1.score.bias",
    "merges.0.from_features.weight",
    "merges.0.from_heatmaps.bias",
}


@pytest.mark.parametrize(
    ("name", "own", "tensors"),
    [
        ("hourglass_2stack", {"stages.0.hourglass.down.0.body.2.weight"}, 684),
        (
            "hourglass_168_resconcat_narrowres",
            {"stages.0.hourglass.down.0.body.2.1.weight", "merges.0.reduce.weight"},
            874,
        ),
    ],
)
def test_names_in_the_state_dict_stay(name: str, own: set[str], tensors: int) -> None:
    with torch.device("meta"):
        state = get_model(name).build().state_dict()
    assert (OFTEN_USED | own) <= state.keys()
    assert len(state) == tensors


def test_sides_that_do_not_halve_often_enough_are_named() -> None:
    model = StackedHourglass(HourglassConfig(stacks=1, inplanes=8, num_feats=8)).eval()
    with pytest.raises(UsageError, match="a side of 70 px, this hourglass takes multiples of 64"):
        model(torch.zeros(1, 3, 64, 70))
