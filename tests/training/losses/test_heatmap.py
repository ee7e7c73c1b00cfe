"""Targets and losses against hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from training.losses.heatmap import ABSENT_WEIGHT, mean_squared_error, softmax_cross_entropy
from training.targets import gaussian_targets

YES, NO = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool)


def test_gaussian_peaks_where_the_keypoint_is() -> None:
    keypoints = torch.tensor([[[4 * 5 + 1.5, 4 * 2 + 1.5], [-9.0, 3.0]]])
    heatmaps, inside = gaussian_targets(keypoints, 4, (12, 8), sigma=1.5)
    assert heatmaps.shape == (1, 2, 8, 12)
    assert inside.tolist() == [[True, False]]
    assert heatmaps[0, 0, 2, 5] == pytest.approx(1.0)
    assert heatmaps[0, 0, 2, 8] == pytest.approx(math.exp(-9 / (2 * 1.5**2)))
    assert heatmaps[0, 0, 4, 5] == pytest.approx(math.exp(-4 / (2 * 1.5**2)))


def test_cross_entropy_of_flat_and_perfect_logits() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[0, 0, 1, 2] = 1.0
    flat = torch.zeros(1, 1, 4, 4)
    assert softmax_cross_entropy([flat], target, YES, YES) == pytest.approx(math.log(16))
    peak = flat.clone()
    peak[0, 0, 1, 2] = 40.0
    assert softmax_cross_entropy([peak], target, YES, YES) == pytest.approx(0.0, abs=1e-5)
    # Two stages: the mean of both.
    both = softmax_cross_entropy([flat, peak], target, YES, YES)
    assert both == pytest.approx(math.log(16) / 2, abs=1e-5)


def test_a_joint_outside_is_pulled_to_flat_and_an_unknown_one_left_alone() -> None:
    target = torch.zeros(1, 1, 4, 4)
    peak = torch.zeros(1, 1, 4, 4)
    peak[0, 0, 0, 0] = 10.0
    flat = torch.zeros(1, 1, 4, 4)
    outside = softmax_cross_entropy([peak], target, YES, NO)
    assert outside > softmax_cross_entropy([flat], target, YES, NO)
    assert softmax_cross_entropy([flat], target, YES, NO) == pytest.approx(
        ABSENT_WEIGHT * math.log(16)
    )
    assert softmax_cross_entropy([peak], target, NO, YES) == 0.0


def test_mean_squared_error_weights_joints_and_sums_stages() -> None:
    target = torch.full((1, 2, 2, 2), 0.5)
    stage = torch.zeros(1, 2, 2, 2)
    present = torch.tensor([[True, False]])
    inside = torch.tensor([[True, True]])
    assert mean_squared_error([stage], target, present, inside) == pytest.approx(0.125)
    assert mean_squared_error([stage] * 3, target, present, inside) == pytest.approx(0.375)
    # Outside of the picture the wanted heatmap is zero, which it is.
    outside = torch.tensor([[False, True]])
    assert mean_squared_error([stage], target, present, outside) == 0.0


@pytest.mark.parametrize("loss", [softmax_cross_entropy, mean_squared_error])
def test_gradients_reach_every_stage(loss: object) -> None:
    stages = [torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2)]
    target = torch.rand(2, 3, 4, 4)
    everyone = torch.ones(2, 3, dtype=torch.bool)
    loss(stages, target, everyone, everyone).backward()  # type: ignore[operator]
    assert all(s.grad is not None and s.grad.abs().sum() > 0 for s in stages)
