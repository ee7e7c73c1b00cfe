"""Training targets of the centre-point detector.

Zhou et al., "Objects as Points" (https://arxiv.org/abs/1904.07850): one Gaussian per box, peak at
the cell of its centre, and offset and size to regress there. As in TTFNet (Liu et al., AAAI 2020,
https://arxiv.org/abs/1909.00700) the cells around the centre regress too, in equal shares, so that
each box teaches more than one cell per step.

Offsets count from the centre of the map px, as edge_pose.decoding.centers reads them:
x_map = (x_input + 0.5) / stride - 0.5 = column + offset, so that at the px nearest to the centre
they lie between -0.5 and 0.5.
"""

from __future__ import annotations

import math

import numpy as np

from edge_pose.types import FloatArray

MIN_OVERLAP = 0.7  # IoU that a box keeps whose corners both move by the radius, as in CornerNet
SHARING = 0.7  # cells whose Gaussian is at least this high regress the box
# Channels of the target: what `draw_targets` returns.
HEAT, HEAT_WEIGHT, OFFSET, SIZE, BOX_WEIGHT = 0, 1, slice(2, 4), slice(4, 6), 6
CHANNELS = 7


def gaussian_radius(width: float, height: float, min_overlap: float = MIN_OVERLAP) -> float:
    """Return by how much both corners of a box may move so that the IoU stays above the minimum.

    The smallest of three cases (Law and Deng, "CornerNet", ECCV 2018): the corners move in one
    direction, both outwards, or both inwards.

    Args:
        width: of the box, any unit.
        height: in the same unit.
        min_overlap: IoU in (0, 1).
    """
    total, area = width + height, width * height
    shifted = _smaller_root(1, -total, area * (1 - min_overlap) / (1 + min_overlap))
    inwards = _smaller_root(4, -2 * total, (1 - min_overlap) * area)
    # (w + 2r)(h + 2r) = area / overlap has one positive root.
    b, c = 2 * total, area * (1 - 1 / min_overlap)
    outwards = (-b + math.sqrt(b * b - 16 * c)) / 8
    return min(shifted, inwards, outwards)


def _smaller_root(a: float, b: float, c: float) -> float:
    return (-b - math.sqrt(b * b - 4 * a * c)) / (2 * a)


def draw_targets(
    boxes: FloatArray, ignore: FloatArray, size: tuple[int, int], stride: int
) -> FloatArray:
    """Draw the targets of one picture.

    Args:
        boxes: (M, 4) xyxy input px, the people to find; those with a centre outside are left out.
        ignore: (I, 4) xyxy input px, where nothing is known: no background is taught there.
        size: (w, h) of the maps.
        stride: input px per map px.

    Returns:
        (7, h, w) float32: Gaussians, exactly 1 at centres; weight of the background (0 or 1);
        offset x, y from the map px; width and height in map px; weight of offset and size, which
        sums to one per box where no smaller box takes its cells.
    """
    width, height = size
    target = np.zeros((CHANNELS, height, width), np.float32)
    target[HEAT_WEIGHT] = 1
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    for x1, y1, x2, y2 in _to_map(ignore, stride):
        across, down = (columns >= x1) & (columns <= x2), (rows >= y1) & (rows <= y2)
        target[HEAT_WEIGHT][np.ix_(down, across)] = 0
    corners = _to_map(boxes, stride)
    sizes = corners[:, 2:] - corners[:, :2]
    # Large boxes first: where two people share cells, the small one has fewer of them.
    for index in np.argsort(-sizes.prod(axis=1), kind="stable"):
        box_width, box_height = (float(v) for v in sizes[index])
        x, y = (float(v) for v in (corners[index, :2] + corners[index, 2:]) / 2)
        column, row = math.floor(x + 0.5), math.floor(y + 0.5)
        inside = 0 <= column < width and 0 <= row < height
        if not inside or box_width <= 0 or box_height <= 0:
            continue
        sigma = (2 * max(gaussian_radius(box_width, box_height), 0) + 1) / 6
        gaussian = np.outer(
            np.exp(-((rows - row) ** 2) / (2 * sigma**2)),
            np.exp(-((columns - column) ** 2) / (2 * sigma**2)),
        )
        np.maximum(target[HEAT], gaussian, out=target[HEAT])
        near = gaussian >= SHARING
        target[2][near] = np.broadcast_to(x - columns, near.shape)[near]
        target[3][near] = np.broadcast_to((y - rows)[:, None], near.shape)[near]
        target[4][near], target[5][near] = box_width, box_height
        target[BOX_WEIGHT][near] = 1 / near.sum()
    return target


def _to_map(boxes: FloatArray, stride: int) -> FloatArray:
    return ((boxes.reshape(-1, 4) + 0.5) / stride - 0.5).astype(np.float32)
