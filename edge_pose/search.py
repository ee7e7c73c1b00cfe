"""Where to look for a person when nothing is known, and which finds are the same person."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_pose.preprocess import Region, fit_region
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Pose

# Sides of the searched squares over the shorter side of the picture. Networks are trained with
# people that fill between 0.3 and all of the crop, so these two cover people from about a fifth of
# the picture's height upwards.
SIDES = (1.0, 0.6)
STEP = 0.5  # neighbours overlap by half
LONGEST = 8.0  # longer side of the picture over the side of a square: bounds the number of squares
SAME_PERSON_OKS = 0.5


def search_regions(width: int, height: int, input_size: tuple[int, int]) -> list[Region]:
    """Return the regions that cover a picture, coarse ones first.

    Args:
        width: of the picture, px.
        height: of the picture, px.
        input_size: (w, h) of the network, for the aspect ratio.
    """
    regions = [fit_region(_middle(width, height), (width, height), input_size)]
    for factor in SIDES:
        side = max(factor * min(width, height), max(width, height) / LONGEST)
        xs, ys = _centers(width, side), _centers(height, side)
        if len(xs) * len(ys) > 1 or factor < 1:
            regions += [fit_region((x, y), (side, side), input_size) for y in ys for x in xs]
    return regions


def _middle(width: int, height: int) -> tuple[float, float]:
    return (width - 1) / 2, (height - 1) / 2


def _centers(length: int, side: float) -> list[float]:
    """Spread squares of `side` evenly over `length`."""
    count = max(1, math.ceil((length - side) / (side * STEP)) + 1)
    if count == 1:
        return [(length - 1) / 2]
    return [float(v) for v in np.linspace(side / 2, length - side / 2, count)]


def oks(a: Pose, b: Pose, keypoint_format: KeypointFormat) -> float:
    """Object keypoint similarity of two poses in [0, 1], by the area of the larger box.

    Lin et al., COCO keypoint evaluation, with the second pose in the place of the truth.
    """
    x1, y1, x2, y2 = np.maximum(np.stack([a.bbox_xyxy, b.bbox_xyxy]), 0).T
    area = float(max(((x2 - x1) * (y2 - y1)).max(), 1.0))
    variance = (2 * np.array(keypoint_format.sigmas)) ** 2
    distance = ((a.keypoints - b.keypoints) ** 2).sum(axis=1)
    return float(np.exp(-distance / (2 * area * variance)).mean())


def box_iou(a: FloatArray, b: FloatArray) -> float:
    """Return the intersection over union of two (4,) boxes, x1 y1 x2 y2, in [0, 1]."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.maximum(high - low, 0).prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0


def without_duplicates(poses: Sequence[Pose], keypoint_format: KeypointFormat) -> list[Pose]:
    """Keep the best of the poses that are one person; best score first."""
    kept: list[Pose] = []
    for pose in sorted(poses, key=lambda pose: -pose.score):
        if all(oks(pose, other, keypoint_format) < SAME_PERSON_OKS for other in kept):
            kept.append(pose)
    return kept
