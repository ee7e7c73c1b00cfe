from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edge_pose.errors import UsageError
from training.losses.perceptual import combine, neck_loss
from training.models.hourglass import HourglassConfig, StackedHourglass


def neck(*channels: float) -> Tensor:
    """One position with these channels."""
    return torch.tensor(channels).view(1, -1, 1, 1)


def test_squared_difference_by_hand() -> None:
    assert neck_loss([neck(1, 2), neck(4, 0)]).item() == pytest.approx((9 + 4) / 2)


def test_divergence_by_hand() -> None:
    # Softmax of logarithms gives the numbers themselves: later (3/4, 1/4), earlier (1/2, 1/2).
    earlier, later = neck(0.0, 0.0), neck(math.log(3), 0.0)
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert neck_loss([earlier, later], "kl").item() == pytest.approx(expected, rel=1e-5)
    # It does not care about the level of all features, as the squared difference does.
    assert neck_loss([earlier, later + 7], "kl").item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["mse", "kl"])
def test_equal_necks_cost_nothing(kind: str) -> None:
    torch.manual_seed(0)
    same = torch.randn(2, 6, 4, 4)
    assert neck_loss([same, same.clone()], kind).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("kind", ["mse", "kl"])
def test_more_stacks_are_the_mean_over_successive_pairs(kind: str) -> None:
    torch.manual_seed(0)
    a, b, c = torch.randn(3, 2, 6, 4, 4).unbind()
    pairs = (neck_loss([a, b], kind) + neck_loss([b, c], kind)) / 2
    assert neck_loss([a, b, c], kind).item() == pytest.approx(pairs.item())


def test_the_total() -> None:
    predictions, perceptual = torch.tensor(10.0), torch.tensor(5.0)
    assert combine(predictions, perceptual).item() == pytest.approx(2 * (0.7 * 10 + 0.3 * 5))
    assert combine(predictions, perceptual, weight=1, alpha=1).item() == 10


@pytest.mark.parametrize("kind", ["mse", "kl"])
@pytest.mark.parametrize("narrow_res", [False, True])
def test_the_gradient_reaches_the_first_stack_only(kind: str, narrow_res: bool) -> None:
    torch.manual_seed(0)
    config = HourglassConfig(inplanes=4, num_feats=6, depth=2, narrow_res=narrow_res)
    model = StackedHourglass(config)
    neck_loss(model.forward_with_necks(torch.randn(2, 3, 32, 32))[1], kind).backward()
    taught = [n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    assert any(name.startswith("stages.0.hourglass.neck") for name in taught)
    assert any(name.startswith("stem") for name in taught)
    assert [name for name in taught if name.startswith("stages.1")] == []


def test_under_autocast_it_is_computed_in_float32() -> None:
    necks = [neck(1, 2).bfloat16(), neck(4, 0).bfloat16()]
    with torch.autocast("cpu", torch.bfloat16):
        for kind in ("mse", "kl"):
            assert neck_loss(necks, kind).dtype == torch.float32


def test_what_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="found 1 hourglass, expected at least 2"):
        neck_loss([neck(1, 2)])
    with pytest.raises(UsageError, match="perceptual loss 'mes': unknown, did you mean 'mse'"):
        neck_loss([neck(1, 2)] * 2, "mes")
