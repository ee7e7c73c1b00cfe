"""Perceptual loss between the necks of stacked hourglasses.

Hassan and Al Khatib, "To Perceive or Not to Perceive" (https://arxiv.org/abs/2302.04815), section
2.6: the first hourglass shall perceive at its narrowest features what the second one perceives
there. Their total is λ·(α·(L1 + L2) + (1 - α)·L_p) with λ = 2, α = 0.7.

The later neck is the teacher and gets no gradient from this loss. The paper asks for the first to
follow the second; with gradients on both sides the second would also be pulled back to the first,
and the shortest way to agree is to say nothing. The necks are those before NarrowRes adds the
first to the second (`StackedHourglass.forward_with_necks`): behind the addition their difference
would be the second neck alone, and the loss a penalty on its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup

WEIGHT = 2.0
ALPHA = 0.7


def _squared(earlier: Tensor, later: Tensor) -> Tensor:
    """Mean squared difference of all features."""
    return F.mse_loss(earlier, later)


def _divergence(earlier: Tensor, later: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the earlier neck from the later one, in nats per position.

    The paper's conclusion proposes it as less harsh than the squared difference and leaves open
    what is distributed. Here it is the softmax over the channels at every position: which features
    are present there, whatever their level. Over the positions it would be a distribution over the
    sixteen cells of a 4×4 neck and over a single one at a 64-px input, always zero.
    """
    expected = F.log_softmax(later, dim=1)
    found = F.log_softmax(earlier, dim=1)
    return (expected.exp() * (expected - found)).sum(dim=1).mean()


KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": _squared, "kl": _divergence}


def neck_loss(necks: Sequence[Tensor], kind: str = "mse") -> Tensor:
    """Compare each neck with the one of the next hourglass; the mean over these pairs, float32.

    Args:
        necks: (N, C, h, w) features of each stack, in order.
        kind: "mse" or "kl".

    Raises:
        UsageError: there is only one neck, or the kind is unknown.
    """
    compare = lookup(KINDS, kind, "perceptual loss")
    if len(necks) < 2:
        raise UsageError("perceptual loss: found 1 hourglass, expected at least 2 to compare")
    pairs = list(pairwise(necks))
    total = pairs[0][0].new_zeros((), dtype=torch.float32)
    for earlier, later in pairs:
        total = total + compare(earlier.float(), later.detach().float())
    return total / len(pairs)


def combine(
    predictions: Tensor, perceptual: Tensor, weight: float = WEIGHT, alpha: float = ALPHA
) -> Tensor:
    """Return weight·(alpha·predictions + (1 - alpha)·perceptual).

    Args:
        predictions: sum of the stages' prediction losses.
        perceptual: what `neck_loss` returned.
        weight: the paper's λ, of the whole sum.
        alpha: share of the predictions, 0..1.
    """
    return weight * (alpha * predictions + (1 - alpha) * perceptual)
