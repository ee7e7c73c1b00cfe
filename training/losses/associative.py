"""Losses of bottom-up networks: heatmaps at two resolutions and tags that group keypoints.

Sources: Newell, Huang and Deng, "Associative Embedding", NIPS 2017 (pull and push); Cheng et al.,
"HigherHRNet", CVPR 2020 (mean squared error at both resolutions, the weights of the sum).
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.targets import gaussian_targets

PUSH_SIGMA = 1.0
CONFIDENT = 0.05  # target height from which a place is judged whatever the mask says
HIDDEN_LOGIT = -1e4


def people_heatmaps(
    keypoints: Tensor, shown: Tensor, stride: int, size: tuple[int, int], sigma: float
) -> Tensor:
    """Draw the Gaussians of all people of a picture into its heatmaps; where two meet, the higher.

    Args:
        keypoints: (N, P, K, 2) float, input px.
        shown: (N, P, K) bool: to be drawn.
        stride: input px per heatmap px.
        size: (w, h) of the heatmaps.
        sigma: standard deviation, heatmap px.

    Returns:
        (N, K, h, w) in [0, 1].
    """
    n, people, k = shown.shape
    target = keypoints.new_zeros((n, k, size[1], size[0]))
    for person in range(people):  # one at a time: all at once would take P times the memory
        drawn, inside = gaussian_targets(keypoints[:, person], stride, size, sigma)
        drawn *= (shown[:, person] & inside)[..., None, None]
        torch.maximum(target, drawn, out=target)
    return target


def masked_mse(
    heatmaps: Tensor, target: Tensor, known: Tensor, positive_weight: float = 1.0
) -> Tensor:
    """Mean squared error over the places where people are annotated.

    With a weight of 1 this is HigherHRNet's loss. Nearly every place wants zero, and on scarce data
    that answer alone is learnt; `positive_weight` is how much more the top of a Gaussian counts
    than an empty place, with the Gaussian's height in between.

    Args:
        heatmaps: (N, K, h, w).
        target: (N, K, h, w) in [0, 1].
        known: (N, K, h, w) bool; False where a keypoint may be that nobody annotated.
        positive_weight: see above, at least 1.
    """
    weight = (known | (target > CONFIDENT)) * (1.0 + (positive_weight - 1.0) * target)
    return (weight * (heatmaps.float() - target) ** 2).mean()


def location_cross_entropy(
    heatmaps: Tensor, target: Tensor, known: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy between a spatial softmax per heatmap and the Gaussians of everybody.

    It asks only where in the picture a keypoint is, so that its gradient does not vanish at flat
    heatmaps. Divided by the temperature, heatmaps of height 1 are the softmax's logits: 0.1 keeps
    it in agreement with the squared error. Heatmaps without a keypoint do not count.

    Args:
        heatmaps: (N, K, h, w), heights near [0, 1].
        target: (N, K, h, w) in [0, 1].
        known: (N, K, h, w) bool, as above; other places take no part in the softmax.
        temperature: heatmap height per unit of the logit.
    """
    judged = (known | (target > CONFIDENT)).flatten(2)
    flat = (target.flatten(2) * judged).clamp_min(0.0)
    mass = flat.sum(dim=2, keepdim=True)
    logits = (heatmaps.float().flatten(2) / temperature).masked_fill(~judged, HIDDEN_LOGIT)
    cross = -(flat / mass.clamp_min(1e-6) * logits.log_softmax(dim=2)).sum(dim=2)
    located = (mass[..., 0] > CONFIDENT).float()
    return (cross * located).sum() / located.sum().clamp_min(1.0)


def pull_push(
    tags: Tensor, keypoints: Tensor, shown: Tensor, stride: int, sigma: float = PUSH_SIGMA
) -> tuple[Tensor, Tensor]:
    """Pull the tags of one person together and push the people of a picture apart.

    With t̄ the mean tag of a person, pull is the mean over his keypoints of (t - t̄)², and push the
    mean over ordered pairs of different people of exp(-(t̄ - t̄')² / 2σ²). Both are means over the
    people of a picture, then over the pictures that have any: 0 where nobody (push: fewer than
    two people) is to be seen.

    Args:
        tags: (N, K, h, w).
        keypoints: (N, P, K, 2) float, input px.
        shown: (N, P, K) bool: the keypoint is there; outside of the picture it is left out.
        stride: input px per tag map px.
        sigma: reach of the push, in units of the tags.

    Returns:
        pull and push, scalars.
    """
    height, width = tags.shape[2:]
    cell = ((keypoints + 0.5) / stride - 0.5).round().long()
    x, y = cell[..., 0], cell[..., 1]
    used = (shown & (x >= 0) & (x < width) & (y >= 0) & (y < height)).float()
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)  # (N, P, K)
    values = tags.float().flatten(2).gather(2, index.transpose(1, 2)).transpose(1, 2)  # (N, P, K)
    count = used.sum(dim=2)  # (N, P)
    person = (count > 0).float()
    mean = (values * used).sum(dim=2) / count.clamp_min(1.0)
    spread = ((values - mean[..., None]) ** 2 * used).sum(dim=2) / count.clamp_min(1.0)
    people = person.sum(dim=1)  # (N,)
    pull = spread.sum(dim=1) / people.clamp_min(1.0)
    pair = person[:, :, None] * person[:, None, :]
    pair = pair * (1.0 - torch.eye(pair.shape[1], device=pair.device))
    near = torch.exp(-((mean[:, :, None] - mean[:, None, :]) ** 2) / (2.0 * sigma**2))
    pairs = pair.sum(dim=(1, 2))
    push = (near * pair).sum(dim=(1, 2)) / pairs.clamp_min(1.0)
    return pull.sum() / (people > 0).sum().clamp_min(1), push.sum() / (pairs > 0).sum().clamp_min(1)
