"""Which part of a picture a detector is shown, and who is in it."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge_pose.preprocess import Affine, Region, apply_affine, fit_region
from edge_pose.types import FloatArray

SEEN_SHARE = 0.4  # a person with less of the box inside is ignored,
GONE_SHARE = 0.1  # with less than this not there
MIN_SIDE_PX = 6.0  # longer side of a box; smaller ones are ignored
CENTRAL = 0.5  # of an ignored box: where its centre may lie


class ViewOptions(BaseModel):
    """How far the views of a picture reach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_whole: float = Field(0.35, ge=0, le=1, description="the whole picture, as on a device")
    nearest: float = Field(1.1, gt=0, le=2, description="largest person over the view's side")
    farthest: float = Field(0.2, gt=0, le=1, description="smallest, where the picture is wide")
    border: float = Field(1.25, ge=1, le=4, description="largest view over the picture's side")


class DetectorOptions(BaseModel):
    """What a recipe says about training a detector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: str = Field(
        "", description="file of boxes; empty: the shipped one; 'annotations': joints' boxes only"
    )
    mosaic: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.5, 0.35, 0.15), description="weights of 1×1, 2×2, … pictures in one input"
    )
    view: ViewOptions = ViewOptions()

    @field_validator("mosaic")
    @classmethod
    def _some(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if sum(weights) <= 0:
            raise ValueError("one of the weights needs to be above 0")
        return weights


def draw_region(
    boxes: FloatArray,
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    options: ViewOptions,
    rng: np.random.Generator,
    *,
    fill: bool = False,
) -> Region:
    """Draw the region of a picture to look at: all of it, or a zoom at somebody.

    Args:
        boxes: (M, 4) xyxy px, the people.
        image_size: (w, h) px.
        input_size: (w, h) px, gives the aspect ratio.
        options: ranges.
        rng: source of randomness.
        fill: show less black at the price of less of the picture, as mosaics want it.
    """
    size = np.array(image_size, np.float64)
    middle = (size - 1) / 2
    fitted = np.array(fit_region((0, 0), image_size, input_size).size)
    widest = 1.0
    if fill:  # half-way between the view that holds all of the picture and the one that is full
        widest = math.sqrt(float((size / fitted).min()))
    if not len(boxes) or rng.random() < options.p_whole:
        extent = fitted * (widest if fill else rng.uniform(1, options.border))
        shift = rng.uniform(-0.5, 0.5, 2) * np.abs(extent - np.where(fill, size, fitted))
        return _region(middle + shift, extent)
    x1, y1, x2, y2 = (float(v) for v in boxes[rng.integers(len(boxes))])
    longer = max(x2 - x1, y2 - y1, 1.0)
    low, high = math.log(options.farthest), math.log(options.nearest)
    zoom = longer / math.exp(rng.uniform(low, high)) / float(fitted.max())
    extent = fitted * min(zoom, widest if fill else options.border)
    # The person anywhere in the view, but no more border than needed.
    room = np.maximum(extent - longer * 0.8, 0) / 2
    center = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + rng.uniform(-1, 1, 2) * room
    reach = np.maximum(size - extent, 0.1 * extent) / 2
    return _region(np.clip(center, middle - reach, middle + reach), extent)


def _region(center: NDArray[np.float64], extent: NDArray[np.float64]) -> Region:
    return Region(
        (float(center[0]), float(center[1])),
        (float(extent[0]), float(extent[1])),
    )


def visible_boxes(
    boxes: FloatArray, ignore: FloatArray, matrix: Affine, size: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Map boxes into a view without rotation and tell what can be learned from them.

    Args:
        boxes: (M, 4) xyxy source px, the people.
        ignore: (I, 4) xyxy source px.
        matrix: (2, 3) source px -> view px.
        size: (w, h) of the view.

    Returns:
        (P, 4) view px, the visible parts of people who are to be found, and (Q, 4) view px, the
        middles of regions where a centre may lie that nobody knows of.
    """
    mapped, regions = _map_boxes(boxes, matrix), _map_boxes(ignore, matrix)
    limit = np.array([size[0], size[1]] * 2, np.float32) - 0.5
    inside, unsure = mapped.clip(-0.5, limit), regions.clip(-0.5, limit)
    share = _area(inside) / np.maximum(_area(mapped), 1e-6)
    longer = (inside[:, 2:] - inside[:, :2]).max(axis=1, initial=0)
    clear = (share >= SEEN_SHARE) & (longer >= MIN_SIDE_PX)
    doubtful = np.concatenate([inside[~clear & (share >= GONE_SHARE)], unsure[_area(unsure) > 0]])
    center = (doubtful[:, :2] + doubtful[:, 2:]) / 2
    half = (doubtful[:, 2:] - doubtful[:, :2]) / 2 * CENTRAL
    return inside[clear], np.concatenate([center - half, center + half], axis=1)


def _map_boxes(boxes: FloatArray, matrix: Affine) -> FloatArray:
    corners = apply_affine(boxes.reshape(-1, 2), matrix).reshape(-1, 2, 2)
    mapped: FloatArray = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return mapped


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return area
