"""Raw maps of two networks side by side: for checkpoints that find too little to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.decoding.peaks import local_maxima
from edge_pose.types import FloatArray

KEPT_MAPS = 32  # pictures whose maps are kept and correlated
NEARLY = 0.9  # peaks of this share of the highest are as good as it
PEAK_RADIUS = 2  # map px


@dataclass(frozen=True, slots=True)
class Peaks:
    """Where the maps of one picture are highest.

    Attributes:
        top: (K, 2) float32 x, y of each map's highest px.
        nearly: per map (P, 2) x, y of all peaks that are nearly as high, the highest included.
    """

    top: FloatArray
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


def correlation(
    expected: Sequence[Sequence[FloatArray]], found: Sequence[Sequence[FloatArray]]
) -> float:
    """Return Pearson's correlation of both networks' maps, the mean over all channels.

    Args:
        expected: of the checkpoint, per picture its outputs (C, h, w).
        found: of the artifact, likewise.
    """
    values: list[float] = []
    for one, other in zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True):
        a, b = _channels(one), _channels(other)
        values += [_pearson(x, y) for x, y in zip(a, b, strict=True)]
    return float(np.mean(values))


def _channels(pictures: Sequence[FloatArray]) -> NDArray[np.float64]:
    """Return (C, everything) of (C, h, w) maps of several pictures."""
    stacked = np.stack(pictures, axis=1).astype(np.float64)
    return stacked.reshape(len(stacked), -1)


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if scale == 0:  # one of them is flat
        return float(np.array_equal(a, b))
    return float((a * b).sum()) / scale
