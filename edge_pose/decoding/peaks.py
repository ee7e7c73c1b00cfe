"""Local maxima of heatmaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray

Indices = NDArray[np.intp]


def local_maxima(
    maps: FloatArray, radius: int, threshold: float
) -> tuple[Indices, Indices, Indices]:
    """Find the px that nothing around them exceeds.

    The same as a max-pool with a window of 2·radius+1 px and a comparison, but of equal
    neighbours only the first one counts: up-sampled maps have peaks of two or four equal px.

    Args:
        maps: (K, H, W) float32; values that are not finite are no maxima.
        radius: half width of the window, heatmap px.
        threshold: only values above it are taken.

    Returns:
        map index, row and column of the maxima, each (P,), in the order of the map.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite(maps.sum())  # one pass; the sum of a sound map is finite
    if not sound:
        maps = np.where(np.isfinite(maps), maps, -np.inf).astype(np.float32)
    highest = _running_max(_running_max(maps, radius, axis=1), radius, axis=2)
    index, y, x = np.nonzero((maps >= highest) & (maps > threshold))
    first = _is_first(maps, index, y, x, radius)
    return index[first], y[first], x[first]


def _running_max(maps: FloatArray, radius: int, axis: int) -> FloatArray:
    result = maps.copy()
    source, target = np.moveaxis(maps, axis, 0), np.moveaxis(result, axis, 0)
    for step in range(1, radius + 1):
        np.maximum(target[step:], source[:-step], out=target[step:])
        np.maximum(target[:-step], source[step:], out=target[:-step])
    return result


def _is_first(
    maps: FloatArray, index: Indices, y: Indices, x: Indices, radius: int
) -> NDArray[np.bool_]:
    """Tell whether no px of the window before (y, x) has the same value."""
    height, width = maps.shape[1:]
    side = 2 * radius + 1
    before = np.arange(side * side // 2)
    rows = y[:, None] + before // side - radius
    columns = x[:, None] + before % side - radius
    inside = (rows >= 0) & (columns >= 0) & (columns < width)
    values = maps[index[:, None], rows.clip(0, height - 1), columns.clip(0, width - 1)]
    first: NDArray[np.bool_] = ~((values == maps[index, y, x][:, None]) & inside).any(axis=1)
    return first
