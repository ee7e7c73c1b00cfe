"""Losses of the centre-point detector: "Objects as Points" (https://arxiv.org/abs/1904.07850)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from training.detection.targets import BOX_WEIGHT, HEAT, HEAT_WEIGHT, OFFSET, SIZE

ALPHA, BETA = 2, 4  # exponents of the penalty-reduced focal loss, Law and Deng 2018
OFFSET_WEIGHT, SIZE_WEIGHT = 1.0, 0.1


def center_focal_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss, divided by the number of centres (at least one).

    log p and log(1 - p) come from the logits without a detour over p, so that no logit of float32
    gives infinity.

    Args:
        logits: (N, h, w) centre logits.
        target: (N, h, w) Gaussians, exactly 1 at centres.
        weight: (N, h, w) of the background term, 0 where nothing is known.
    """
    logits = logits.float()
    center = (target == 1).float()
    p = logits.sigmoid()
    found = center * (1 - p) ** ALPHA * F.logsigmoid(logits)
    quiet = (1 - center) * weight * (1 - target) ** BETA * p**ALPHA * F.logsigmoid(-logits)
    loss: Tensor = -(found.sum() + quiet.sum()) / center.sum().clamp_min(1)
    return loss


def box_loss(offset: Tensor, size: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute error of offset and size per box, summed over the two axes; 0 without boxes.

    Args:
        offset: (N, 2, h, w) map px.
        size: (N, 2, h, w) map px.
        target: (N, 7, h, w) of training.detection.targets.
    """
    weight = target[:, BOX_WEIGHT, None]
    boxes = (target[:, HEAT] == 1).sum().clamp_min(1)
    offsets = (weight * (offset.float() - target[:, OFFSET]).abs()).sum() / boxes
    sizes = (weight * (size.float() - target[:, SIZE]).abs()).sum() / boxes
    return offsets, sizes


def center_loss(stages: Sequence[Tensor], target: Tensor) -> Tensor:
    """Return focal + offset + 0.1 · size, the mean over the stages.

    Args:
        stages: (N, 5, h, w) of each stage: centre logit, offset x and y, width and height.
        target: (N, 7, h, w) of training.detection.targets.
    """
    total = target.new_zeros(())
    for maps in stages:
        focal = center_focal_loss(maps[:, 0], target[:, HEAT], target[:, HEAT_WEIGHT])
        offset, size = box_loss(maps[:, 1:3], maps[:, 3:5], target)
        total = total + focal + OFFSET_WEIGHT * offset + SIZE_WEIGHT * size
    return total / len(stages)
