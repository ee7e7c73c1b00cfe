"""Half of a convolution's channels, made apart from the other half."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def halves(conv: nn.Conv2d, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the second half of the channels of a 1×1 convolution.

    Slices of one tensor would have the same numbers, but as integers its scale, too; see
    training.registry.InParts.

    Args:
        conv: has a bias.
        x: (N, C, h, w).
    """
    bias: Tensor = conv.bias  # type: ignore[assignment]
    pairs = zip(conv.weight.chunk(2), bias.chunk(2), strict=True)
    first, second = (F.conv2d(x, *pair) for pair in pairs)
    return first, second
