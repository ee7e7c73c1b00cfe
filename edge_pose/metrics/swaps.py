"""How often left and right are taken for each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import KeypointFormat


@dataclass(frozen=True, slots=True)
class SwapCount:
    """Swaps of one left/right pair, or of all of them.

    Attributes:
        swaps: keypoints that were found at their partner's place.
        n: keypoints for which that could be told: both of the pair are annotated.
    """

    swaps: int
    n: int

    @property
    def rate(self) -> float:
        """Percentage of swapped keypoints; NaN where none could be told."""
        return 100.0 * self.swaps / self.n if self.n else float("nan")


@dataclass(frozen=True, slots=True)
class SwapResult:
    """Left/right swaps.

    Attributes:
        per_pair: by name of the pair without its side: "wrist", "knee", …
        total: all pairs together.
    """

    per_pair: dict[str, SwapCount]
    total: SwapCount


def count_swaps(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    unit_px: NDArray[np.floating],
    present: NDArray[np.bool_],
    keypoint_format: KeypointFormat,
    threshold: float = 0.5,
) -> SwapResult:
    """Count keypoints that lie within `threshold` units of their partner's truth, not of their own.

    With the arguments of `edge_pose.metrics.pck.pck` these are the wrong keypoints of PCK that
    would be right if left and right were exchanged.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        unit_px: (N,) length of the unit per person.
        present: (N, K) True where the keypoint is annotated.
        keypoint_format: its `flip_pairs` are the pairs.
        threshold: in units.

    Raises:
        ValueError: the arrays' shapes do not fit together.
    """
    n, k = present.shape
    if predicted.shape != (n, k, 2) or truth.shape != (n, k, 2) or unit_px.shape != (n,):
        shapes = f"{predicted.shape}, {truth.shape}, {unit_px.shape}, {present.shape}"
        raise ValueError(f"swaps: shapes {shapes} do not fit (N, K, 2), (N, K, 2), (N,), (N, K)")
    per_pair = {}
    limit = threshold * unit_px[:, None]
    for pair in keypoint_format.flip_pairs:
        own, partner = list(pair), list(pair)[::-1]
        to_own = np.linalg.norm(predicted[:, own] - truth[:, own], axis=2)
        to_partner = np.linalg.norm(predicted[:, own] - truth[:, partner], axis=2)
        told = present[:, own[0]] & present[:, own[1]]
        swapped = (to_partner <= limit) & (to_own > limit) & told[:, None]
        name = keypoint_format.keypoints[pair[0]].removeprefix("left_").removeprefix("right_")
        per_pair[name] = SwapCount(int(swapped.sum()), 2 * int(told.sum()))
    counts = per_pair.values()
    return SwapResult(per_pair, SwapCount(sum(c.swaps for c in counts), sum(c.n for c in counts)))
