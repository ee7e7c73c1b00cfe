"""Latency of artifacts, side by side: turn by turn, so that a busy machine hurts all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from converters.steps import Tick, silent
from edge_pose.manifest import InputTensor
from edge_pose.preprocess import to_tensor

Name = TypeVar("Name")

WARM_UP = 3
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one inference, without pre- and post-processing.

    Attributes:
        p50_ms: median, ms.
        p95_ms: 95th percentile, ms.
        runs: how many were timed.
    """

    p50_ms: float
    p95_ms: float
    runs: int


def time_in_turns(
    calls: Mapping[Name, Callable[[], object]],
    *,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
    tick: Tick = silent,
) -> dict[Name, Latency]:
    """Time each call once per round, in another order each round.

    Args:
        calls: what to time, by name.
        rounds: timed runs of each.
        warm_up: runs of each before that.
        clock: seconds.
        tick: told of each round.

    Raises:
        ValueError: `rounds` is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds: {rounds}, at least 1 is needed")
    if not calls:
        return {}
    taken_s: dict[Name, list[float]] = {name: [] for name in calls}
    order = np.random.default_rng(0)
    names = list(calls)
    for turn in range(-warm_up, rounds):
        tick(turn + warm_up, rounds + warm_up)
        # Who follows whom changes: nobody always finds the caches of the same neighbour.
        for index in order.permutation(len(names)):
            name = names[index]
            start_s = clock()
            calls[name]()
            if turn >= 0:
                taken_s[name].append(clock() - start_s)
    tick(rounds + warm_up, rounds + warm_up)
    return {name: _latency(seconds) for name, seconds in taken_s.items()}


def _latency(seconds: list[float]) -> Latency:
    p50, p95 = np.percentile(np.array(seconds) * 1e3, (50, 95))
    return Latency(float(p50), float(p95), len(seconds))


def noise(tensor: InputTensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.uint8]]:
    """Return an input of the model's shape and dtype: what is on the picture takes no time."""
    width, height = tensor.size
    picture = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    return to_tensor(picture, tensor.spec)
