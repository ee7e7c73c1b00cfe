"""What 8 bits do to a network's outputs, and which of its layers suffer most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.steps import Tick
from edge_pose.types import FloatArray

PICTURES = 4  # to rank layers on

Outputs = Sequence[NDArray[Any]]
"""All outputs for one picture."""


def spread(count: int) -> list[int]:
    """Return which of `count` pictures layers are ranked on: PICTURES of them, evenly spread."""
    return [int(index) for index in np.linspace(0, count - 1, PICTURES).round()]


def relative_error(expected: Sequence[Outputs], found: Sequence[Outputs]) -> FloatArray:
    """Return the error of each picture, (N,): mean square over the output's own variance.

    The mean over outputs; 0 is equal, 1 is as wrong as a constant.
    """
    shares = [
        np.mean([_share(ours, theirs) for ours, theirs in zip(*pair, strict=True)])
        for pair in zip(expected, found, strict=True)
    ]
    return np.array(shares, np.float32)


def _share(expected: NDArray[Any], found: NDArray[Any]) -> float:
    return float(np.square(found - expected).mean() / max(float(expected.var()), 1e-12))


def worst_first(
    names: Iterable[str], damage: Callable[[str], float], tick: Tick
) -> tuple[str, ...]:
    """Measure layers one by one and order them.

    Args:
        names: of layers.
        damage: what the integers of this layer alone do to the outputs.
        tick: told of each layer.
    """
    wanted, found = list(names), dict[str, float]()
    for index, name in enumerate(wanted):
        tick(index, len(wanted))
        found[name] = damage(name)
    tick(len(wanted), len(wanted))
    return tuple(sorted(found, key=found.__getitem__, reverse=True))
