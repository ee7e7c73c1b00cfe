from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_pose.errors import UsageError
from training.models.hourglass import HourglassConfig, ResConcatMerge, StackedHourglass

SMALL = {"inplanes": 4, "num_feats": 6, "depth": 2}


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": "separabel"}, "block 'separabel': unknown, did you mean 'separable'"),
        ({"merge": "concat"}, "merge 'concat': unknown, did you mean 'resconcat'"),
    ],
)
def test_unknown_parts_are_usage_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(**change)
