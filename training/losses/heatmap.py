"""Losses on heatmaps; every stage of a network is supervised with the same target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

ABSENT_WEIGHT = 0.1


def softmax_cross_entropy(
    stages: Sequence[Tensor], target: Tensor, present: Tensor, inside: Tensor
) -> Tensor:
    """Cross-entropy between a spatial softmax per keypoint and the Gaussian target.

    Its gradient does not vanish at a flat heatmap, where mean squared error stays for a long time
    when data is scarce. A keypoint that is known to lie outside of the picture is pulled to the
    uniform distribution, with a small weight, so that its score comes out low.

    Args:
        stages: heatmap logits (N, K, h, w) of each stage.
        target: (N, K, h, w) Gaussians.
        present: (N, K) bool, annotated.
        inside: (N, K) bool, within the picture.
    """
    flat = target.flatten(2)
    distribution = flat / flat.sum(dim=2, keepdim=True).clamp_min(1e-6)
    seen = (present & inside).float()
    absent = (present & ~inside).float() * ABSENT_WEIGHT
    count = (present & inside).sum().clamp_min(1)
    total = target.new_zeros(())
    for logits in stages:
        log_p = F.log_softmax(logits.float().flatten(2), dim=2)
        located = -(distribution * log_p).sum(dim=2)
        uniform = -log_p.mean(dim=2)
        total = total + (located * seen + uniform * absent).sum() / count
    return total / len(stages)


def mean_squared_error(
    stages: Sequence[Tensor], target: Tensor, present: Tensor, inside: Tensor
) -> Tensor:
    """Mean squared error against Gaussians of height 1, absent keypoints against zero.

    Summed over the stages (intermediate supervision, Newell et al. 2016). Arguments as above.
    """
    wanted = target * inside[..., None, None]
    weight = present.float()[..., None, None]
    total = target.new_zeros(())
    for heatmaps in stages:
        total = total + (weight * (heatmaps.float() - wanted) ** 2).mean()
    return total


LOSSES: dict[str, Callable[[Sequence[Tensor], Tensor, Tensor, Tensor], Tensor]] = {
    "softmax": softmax_cross_entropy,
    "mse": mean_squared_error,
}
# What each loss teaches the heatmaps to be, in the words of edge_pose.decoding.heatmap.
HEATMAP_KIND = {"softmax": "logits", "mse": "gaussian"}
