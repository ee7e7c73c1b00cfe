"""Raw maps of two networks side by side, whatever is found on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.decoding.peaks import local_maxima
from edge_pose.types import FloatArray

NEARLY = 0.9  # peaks of this share of the highest are as good as it
PEAK_RADIUS = 2  # map px
FLAT = 1e-3  # of the spread of the liveliest channel: one with less carries nothing


@dataclass(frozen=True, slots=True)
class Peaks:
    """Where the maps of one picture are highest.

    Attributes:
        top: (K, 2) float32 x, y of each map's highest px.
        height: (K,) score of each, in [0, 1].
        nearly: per map (P, 2) x, y of all peaks that are nearly as high, the highest included.
    """

    top: FloatArray
    height: FloatArray
    nearly: tuple[FloatArray, ...]


def find_peaks(maps: FloatArray) -> Peaks:
    """Return the peaks of (K, h, w) maps whose rest is about 0."""
    count = len(maps)
    flat = maps.reshape(count, -1)
    rows, columns = np.divmod(flat.argmax(axis=1), maps.shape[2])
    highest = flat.max(axis=1)
    index, y, x = local_maxima(maps, PEAK_RADIUS, -np.inf)
    high = maps[index, y, x] >= highest[index] - (1 - NEARLY) * np.abs(highest[index])
    places = np.stack([x, y], axis=1).astype(np.float32)
    return Peaks(
        np.stack([columns, rows], axis=1).astype(np.float32),
        highest.clip(0, 1),
        tuple(places[high & (index == k)] for k in range(count)),
    )


def peak_drift(expected: Sequence[Peaks], found: Sequence[Peaks]) -> FloatArray:
    """Return (N, K) map px from each top peak of the artifact to the checkpoint's nearest one."""
    return np.array(
        [
            [
                np.linalg.norm(near - top, axis=1).min()
                for near, top in zip(one.nearly, other.top, strict=True)
            ]
            for one, other in zip(expected, found, strict=True)
        ],
        np.float32,
    )


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like the checkpoint's maps those of an artifact are.

    Attributes:
        correlation: Pearson's, the lowest of all channels that the checkpoint has something on.
        gain: least-squares factor from the checkpoint's to the artifact's, of the channel where it
            is farthest from 1; 0 where the artifact's is flat or upside down.
        offset: how far a channel's mean moves up or down, in standard deviations of the
            checkpoint's; of the channel where it moves farthest.
    """

    correlation: float
    gain: float
    offset: float


def compare_maps(
    expected: Sequence[Sequence[FloatArray]], found: Sequence[Sequence[FloatArray]]
) -> Likeness:
    """Compare channel by channel: a single one that is dead does not hide among the others.

    Args:
        expected: of the checkpoint, per picture its outputs (C, h, w).
        found: of the artifact, likewise.

    Returns:
        The worst of all channels; that of equal maps where the checkpoint's are all flat.
    """
    rows: list[tuple[float, float, float]] = []
    for one, other in zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True):
        rows += _compare(_flat(one), _flat(other))
    correlations, gains, offsets = zip(*(rows or [(1.0, 1.0, 0.0)]), strict=True)
    return Likeness(min(correlations), max(gains, key=off_by), max(offsets))


def off_by(gain: float) -> float:
    """Return the factor between a gain and 1, never below 1; infinite for no gain at all."""
    if not gain > 0:
        return math.inf
    return max(gain, 1 / gain)


def _flat(pictures: Sequence[FloatArray]) -> NDArray[np.float64]:
    """Return (C, everything) of (C, h, w) maps of several pictures."""
    stacked = np.stack(pictures, axis=1).astype(np.float64)
    return stacked.reshape(len(stacked), -1)


def _compare(
    expected: NDArray[np.float64], found: NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Return correlation, gain and offset of each row of `expected` that is not flat."""
    means = expected.mean(axis=1), found.mean(axis=1)
    a, b = expected - means[0][:, None], found - means[1][:, None]
    energy, other = (a * a).mean(axis=1), (b * b).mean(axis=1)
    both = (a * b).mean(axis=1)
    rows = []
    for k in np.flatnonzero(energy > FLAT**2 * energy.max()):
        length = math.sqrt(energy[k] * other[k])
        correlation = float(both[k]) / length if length else 0.0
        gain = float(max(both[k] / energy[k], 0.0))
        offset = float(abs(means[1][k] - means[0][k])) / math.sqrt(energy[k])
        rows.append((correlation, gain, offset))
    return rows
