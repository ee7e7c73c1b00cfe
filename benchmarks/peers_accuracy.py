"""Accuracy over the twelve joints that everybody knows, and whether a difference is more than luck.

The persons are a sample, and all contestants look at the same ones. So persons are drawn anew, with
replacement, and the difference of two contestants is taken on each draw: the paired bootstrap
(Efron, Tibshirani, An Introduction to the Bootstrap, 1993, percentile intervals).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.interval import CONFIDENCE
from benchmarks.people import People
from edge_pose.metrics.pck import MEAN12, PckResult, pck
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray

DRAWS = 2000
SEED = 5
JOINTS = [MPII16.index(name) for name in MEAN12]


def measure(keypoints: Sequence[FloatArray], people: People) -> PckResult:
    """Return the accuracy of (16, 2) keypoints per person; joints other than the twelve are NaN."""
    return _pck(np.stack(keypoints), *_known(people), people.threshold)


def hits(keypoints: Sequence[FloatArray], people: People) -> NDArray[np.float64]:
    """Return (N, 12): 100 where a joint was found, 0 where not, NaN where it is not annotated."""
    truth, present, unit_px = _known(people)
    rows = []
    for i, found in enumerate(keypoints):
        one = slice(i, i + 1)
        result = _pck(found[None], truth[one], present[one], unit_px[one], people.threshold)
        rows.append([result.per_joint[name] for name in MEAN12])
    return np.array(rows)


def bounds(difference: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of each draw."""
    low, high = np.percentile(difference, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


def draws(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the twelve joints for each draw of persons, (DRAWS,) percent.

    The draws of all contestants are the same: differences of two results are paired.
    """
    n = len(found)
    counts = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), DRAWS)
    known = ~np.isnan(found)
    right, annotated = counts @ np.nan_to_num(found), counts @ known
    # A joint that no drawn person has says nothing.
    rates = np.divide(right, annotated, out=np.full(right.shape, np.nan), where=annotated > 0)
    means: NDArray[np.float64] = np.nanmean(rates, axis=1)
    return means


def _known(people: People) -> tuple[FloatArray, NDArray[np.bool_], FloatArray]:
    truth, present, unit_px = people.truth()
    twelve = np.isin(np.arange(len(MPII16.keypoints)), JOINTS)
    return truth, present & twelve, unit_px


def _pck(
    found: FloatArray,
    truth: FloatArray,
    present: NDArray[np.bool_],
    unit_px: FloatArray,
    threshold: float,
) -> PckResult:
    return pck(found, truth, unit_px, present, MPII16, threshold)
