"""Learning rate over the steps, weight decay by kind of weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from training.optimizer import build_optimizer, lr_factor
from training.recipe import OptimizerConfig
from training.registry import get_model


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = OptimizerConfig(warmup_steps=2)
    factors = [lr_factor(config, step, 60) for step in range(61)]
    assert factors[0] == 0.5
    assert max(factors) == pytest.approx(1.0)
    assert np.diff(factors[2:]).max() <= 0
    assert factors[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_constant_rate_after_the_warm_up() -> None:
    config = OptimizerConfig(warmup_steps=4, schedule="constant")
    assert [lr_factor(config, step, 9) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_weight_decay_by_kind_of_weight(recipe: Any) -> None:
    model = get_model(recipe().model).build()
    decayed = build_optimizer(model, recipe(optimizer={"weight_decay": 0.1}))
    for group in decayed.param_groups:
        wide = {p.ndim > 1 for p in group["params"]}
        assert len(wide) == 1
        assert group["weight_decay"] == (0.1 if wide.pop() else 0.0)
    rms = build_optimizer(model, recipe(optimizer={"name": "rmsprop"}))
    assert isinstance(rms, torch.optim.RMSprop)
