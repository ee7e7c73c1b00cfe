from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.losses.associative import (
    location_cross_entropy,
    masked_mse,
    people_heatmaps,
    pull_push,
)


def place(x: int, y: int, stride: int = 4) -> list[float]:
    """Input px of the centre of a heatmap px."""
    return [(x + 0.5) * stride - 0.5, (y + 0.5) * stride - 0.5]


def test_pull_and_push_by_hand() -> None:
    # One picture, two people with two keypoints each; tags 1, 3 and 2, 2: means 2 and 2.
    tags = torch.zeros(1, 2, 4, 4)
    tags[0, 0, 0, 0], tags[0, 1, 0, 1] = 1.0, 3.0
    tags[0, 0, 2, 2], tags[0, 1, 3, 2] = 2.0, 2.0
    keypoints = torch.tensor([[[place(0, 0), place(1, 0)], [place(2, 2), place(2, 3)]]])
    shown = torch.ones(1, 2, 2, dtype=torch.bool)
    pull, push = pull_push(tags, keypoints, shown, 4)
    assert pull.item() == pytest.approx((1.0 + 0.0) / 2)
    assert push.item() == pytest.approx(1.0)  # equal means
    tags[0, 0, 2, 2], tags[0, 1, 3, 2] = 3.5, 3.5
    assert pull_push(tags, keypoints, shown, 4)[1].item() == pytest.approx(math.exp(-(1.5**2) / 2))
    wide = pull_push(tags, keypoints, shown, 4, sigma=3.0)[1]
    assert wide.item() == pytest.approx(math.exp(-(1.5**2) / 18))


def test_people_keypoints_and_pictures_weigh_as_documented() -> None:
    # Three pictures: two people, one person, nobody. Hidden keypoints carry absurd tags.
    tags = torch.full((3, 2, 4, 4), 50.0)
    tags[0, 0, 0, 0], tags[0, 0, 1, 1] = 0.0, 2.0
    tags[1, 0, 0, 0], tags[1, 1, 3, 3] = -1.0, 5.0
    points = [place(0, 0), place(3, 3)]
    keypoints = torch.tensor([[points, [place(1, 1), place(2, 0)]], [points, points], [points] * 2])
    shown = torch.zeros(3, 2, 2, dtype=torch.bool)
    shown[0, :, 0] = True
    shown[1, 0] = True
    pull, push = pull_push(tags, keypoints, shown, 4)
    assert pull.item() == pytest.approx((0.0 + 9.0) / 2)  # two pictures have anybody
    assert push.item() == pytest.approx(math.exp(-2.0))  # one has more than one


def test_keypoints_outside_of_the_picture_have_no_tag() -> None:
    tags = torch.zeros(1, 2, 4, 4)
    tags[0, 1] = 7.0
    keypoints = torch.tensor([[[place(1, 1), place(4, 1)]]])
    shown = torch.ones(1, 1, 2, dtype=torch.bool)
    assert pull_push(tags, keypoints, shown, 4)[0].item() == 0.0


@pytest.mark.parametrize("people", [0, 1])
def test_gradients_are_finite_without_people(people: int) -> None:
    maps = torch.zeros(2, 6, 8, 8, requires_grad=True)
    keypoints = torch.full((2, 3, 3, 2), 9.0)
    shown = torch.zeros(2, 3, 3, dtype=torch.bool)
    shown[:, :people] = True
    target = people_heatmaps(keypoints, shown, 4, (8, 8), 1.5)
    known = torch.ones(2, 3, 8, 8, dtype=torch.bool)
    pull, push = pull_push(maps[:, 3:], keypoints, shown, 4)
    assert pull.item() == push.item() == 0.0
    total = masked_mse(maps[:, :3], target, known, 10.0) + pull + push
    total = total + location_cross_entropy(maps[:, :3], target, known, 0.1)
    total.backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert bool(torch.isfinite(maps.grad).all())
    assert bool(maps.grad[:, :3].any()) == bool(people)


def test_heatmaps_show_everybody_at_their_places() -> None:
    keypoints = torch.tensor([[[place(1, 2)], [place(5, 2)], [place(6, 6)]]])
    shown = torch.tensor([[[True], [True], [False]]])
    maps = people_heatmaps(keypoints, shown, 4, (8, 8), 1.0)
    assert maps.shape == (1, 1, 8, 8)
    assert maps[0, 0, 2, 1].item() == pytest.approx(1.0)
    assert maps[0, 0, 2, 5].item() == pytest.approx(1.0)
    # In the middle each gives exp(-2² / 2); the higher one counts, not the sum.
    assert maps[0, 0, 2, 3].item() == pytest.approx(math.exp(-2.0))
    assert maps[0, 0, 6, 6].item() < 1e-3
    finer = people_heatmaps(keypoints, shown, 2, (16, 16), 1.0)
    assert finer[0, 0, 4:6, 2:4].mean().item() == pytest.approx(math.exp(-0.25))


def test_squared_error_by_hand() -> None:
    target = torch.zeros(1, 1, 2, 2)
    target[0, 0, 0, 0] = 1.0
    heat = torch.full((1, 1, 2, 2), 0.5)
    known = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    assert masked_mse(heat, target, known).item() == pytest.approx(0.25)
    assert masked_mse(heat, target, known, 5.0).item() == pytest.approx((5 + 3) * 0.25 / 4)
    known[0, 0, 1] = False
    assert masked_mse(heat, target, known).item() == pytest.approx(2 * 0.25 / 4)
    known[:] = False  # the place of an annotated keypoint is known all the same
    assert masked_mse(heat, target, known).item() == pytest.approx(0.25 / 4)


def test_location_by_hand() -> None:
    target = torch.zeros(1, 2, 2, 2)
    target[0, 0, 0, 0] = 1.0  # the second heatmap has nobody: it does not count
    heat = torch.zeros(1, 2, 2, 2)
    known = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    assert location_cross_entropy(heat, target, known, 0.1).item() == pytest.approx(math.log(4))
    known[0, 0, 1] = False
    assert location_cross_entropy(heat, target, known, 0.1).item() == pytest.approx(math.log(2))
    heat[0, 0, 0, 0] = 1.0
    right = location_cross_entropy(heat, target, known, 0.1)
    assert right.item() == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-6)


def test_location_has_a_gradient_where_squared_error_has_next_to_none() -> None:
    keypoints = torch.tensor([[[place(3, 3)]]])
    shown = torch.ones(1, 1, 1, dtype=torch.bool)
    target = people_heatmaps(keypoints, shown, 4, (32, 32), 1.5)
    known = torch.ones(1, 1, 32, 32, dtype=torch.bool)

    def gradient(loss: Tensor, heat: Tensor) -> float:
        (grad,) = torch.autograd.grad(loss, heat)
        return float(grad[0, 0, 3, 3].abs() / grad.abs().sum())

    heat = torch.zeros(1, 1, 32, 32, requires_grad=True)
    location = gradient(location_cross_entropy(heat, target, known, 0.1), heat)
    assert location == pytest.approx(1 / (2 * math.pi * 1.5**2) / 2, rel=0.1)
