"""Which part of a picture a classifier sees: a drawn one in training, the middle in measuring."""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge_pose.types import Image

TRIES = 10
RATIOS = (3 / 4, 4 / 3)  # width over height, as Szegedy et al. (CVPR 2015) draw it

Box: TypeAlias = tuple[int, int, int, int]
"""left, top, width, height in px."""


class ClassifierOptions(BaseModel):
    """What only classifiers are trained with; flips and colours are in the recipe's `augment`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_area: float = Field(0.25, gt=0, le=1, description="least share of the picture; 1: no crops")
    label_smoothing: float = Field(0.1, ge=0, lt=1)


def random_box(size: tuple[int, int], min_area: float, rng: np.random.Generator) -> Box:
    """Draw a box of uniform area and log-uniform ratio anywhere in a picture of `size` (w, h)."""
    width, height = size
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    for _ in range(TRIES):
        area = width * height * rng.uniform(min_area, 1)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            return int(left), int(top), w, h
    return center_box(size, 1.0)


def center_box(size: tuple[int, int], share: float) -> Box:
    """Return the square in the middle, its side `share` of the picture's shorter one."""
    side = max(round(min(size) * share), 1)
    return (size[0] - side) // 2, (size[1] - side) // 2, side, side


def cut(image: Image, box: Box, side: int) -> Image:
    """Cut a box out and resize it to (side, side, 3)."""
    left, top, width, height = box
    part = image[top : top + height, left : left + width]
    shrinks = width * height > side * side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side, side), interpolation=how), np.uint8)
