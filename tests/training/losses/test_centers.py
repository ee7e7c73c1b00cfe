"""Losses of the centre-point detector by hand, and at the ends of float32."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.detection.targets import BOX_WEIGHT, CHANNELS, HEAT, HEAT_WEIGHT, OFFSET, SIZE
from training.losses.centers import box_loss, center_focal_loss, center_loss


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def targets(pictures: int = 1) -> Tensor:
    """Nobody, everything known, 2×3 cells."""
    target = torch.zeros(pictures, CHANNELS, 2, 3)
    target[:, HEAT_WEIGHT] = 1
    return target


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([[[logit(0.8), logit(0.3), logit(0.6)]]])
    target = torch.tensor([[[1.0, 0.5, 0.0]]])
    weight = torch.tensor([[[1.0, 1.0, 1.0]]])
    found = -(0.2**2) * math.log(0.8)
    beside = -(0.5**4) * 0.3**2 * math.log(0.7)
    background = -(0.6**2) * math.log(0.4)
    loss = center_focal_loss(logits, target, weight)
    assert float(loss) == pytest.approx(found + beside + background, rel=1e-5)
    ignored = center_focal_loss(logits, target, torch.tensor([[[0.0, 0.0, 0.0]]]))
    assert float(ignored) == pytest.approx(found, rel=1e-5)  # a centre counts in any case
    both = center_focal_loss(logits.repeat(2, 1, 1), target.repeat(2, 1, 1), weight)
    assert float(both) == pytest.approx(float(loss), rel=1e-5)  # per person


@pytest.mark.parametrize("value", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("people", [0, 1])
def test_no_logit_breaks_it(value: float, people: int) -> None:
    maps = torch.full((1, 5, 2, 3), value, requires_grad=True)
    target = targets()
    target[0, [HEAT, BOX_WEIGHT], 0, 0] = people
    loss = center_loss([maps], target)
    loss.backward()
    assert torch.isfinite(loss)
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_nobody_costs_nothing_but_false_alarms() -> None:
    maps = torch.randn(2, 5, 2, 3, generator=torch.Generator().manual_seed(1))
    target = targets(2)
    offset, size = box_loss(maps[:, 1:3], maps[:, 3:], target)
    assert float(offset) == float(size) == 0
    quiet = maps.clone()
    quiet[:, 0] = -20
    assert float(center_loss([quiet], target)) == pytest.approx(0, abs=1e-6)
    assert float(center_loss([maps], target)) > 0


def test_boxes_are_off_by_so_much() -> None:
    target = targets(2)
    # One box on one cell of the first picture, one on two cells of the second.
    target[0, HEAT, 0, 0] = target[1, HEAT, 1, 1] = 1
    target[0, BOX_WEIGHT, 0, 0] = 1
    target[1, BOX_WEIGHT, 1, 1:] = 0.5
    target[:, OFFSET], target[:, SIZE] = 0.25, 10
    maps = torch.zeros(2, 5, 2, 3)
    maps[:, 3:] = 10
    maps[0, 3] += 3  # width, everywhere in the first picture
    maps[1, 4, 1, 2] -= 4  # height at one of the second box's cells
    offset, size = box_loss(maps[:, 1:3], maps[:, 3:], target)
    assert float(offset) == pytest.approx(0.5)  # a quarter on each axis, of both boxes
    assert float(size) == pytest.approx((3 + 0.5 * 4) / 2)
    focal = center_focal_loss(maps[:, 0], target[:, HEAT], target[:, HEAT_WEIGHT])
    total = float(focal) + 0.5 + 0.1 * 2.5
    assert float(center_loss([maps], target)) == pytest.approx(total)
    assert float(center_loss([maps, maps], target)) == pytest.approx(total)


def test_perfect_maps_cost_nothing() -> None:
    target = targets()
    target[0, HEAT, 1, 1], target[0, BOX_WEIGHT, 1, 1] = 1, 1
    target[:, SIZE] = 7
    maps = torch.cat([(target[:, HEAT, None] - 0.5) * 60, target[:, OFFSET], target[:, SIZE]], 1)
    assert float(center_loss([maps], target)) == pytest.approx(0, abs=1e-6)


def test_half_precision_maps_are_lifted() -> None:
    maps = torch.zeros(1, 5, 2, 3, dtype=torch.bfloat16)
    assert center_loss([maps], targets()).dtype == torch.float32
