"""What moves the weights, and how fast."""

from __future__ import annotations

import math

import torch
from torch import nn

from training.recipe import OptimizerConfig, Recipe


def lr_factor(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Return the share of the peak learning rate at a step.

    A linear warm-up, then what the recipe says: half a cosine down to zero, or constant.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(total_steps - config.warmup_steps, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only; pretrained weights at their own rate."""
    config = recipe.optimizer
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        slow = recipe.pretrained and name.startswith("down.")
        groups.setdefault((slow, parameter.ndim > 1), []).append(parameter)
    settings = []
    for (slow, decay), parameters in groups.items():
        lr = config.lr * (config.pretrained_lr_factor if slow else 1.0)
        wd = config.weight_decay if decay else 0.0
        settings.append({"params": parameters, "lr": lr, "peak_lr": lr, "weight_decay": wd})
    if config.name == "rmsprop":
        return torch.optim.RMSprop(settings, lr=config.lr)
    return torch.optim.AdamW(settings, lr=config.lr, fused=True)
