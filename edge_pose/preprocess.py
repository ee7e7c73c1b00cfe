"""From a region of the source image to the network's input, and back.

This is the only copy of this code: training, converters and benchmarks call it too, so that they
see what the device sees. Coordinates follow OpenCV: pixel centres are whole numbers, (0, 0) is the
centre of the top left pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray, Image

Affine = NDArray[np.float64]
"""(2, 3) matrix: source px -> network input px."""


@dataclass(frozen=True, slots=True)
class Region:
    """The part of a source image that is given to the network.

    Attributes:
        center: x and y in source px.
        size: width and height in source px.
        rotation_deg: rotation of the content, counter-clockwise on screen is positive.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    rotation_deg: float = 0.0

    @property
    def bbox_xyxy(self) -> FloatArray:
        """(4,) float32 px, ignoring rotation."""
        (x, y), (w, h) = self.center, self.size
        return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2], np.float32)


def fit_region(
    center: tuple[float, float], size: tuple[float, float], input_size: tuple[int, int]
) -> Region:
    """Grow `size` on one axis until it has the aspect ratio of `input_size` (w, h)."""
    aspect = input_size[0] / input_size[1]
    width = max(size[0], size[1] * aspect)
    return Region(center, (width, width / aspect))


def bbox_region(bbox_xyxy: FloatArray, input_size: tuple[int, int], padding: float) -> Region:
    """Return the region around a box, its longer side multiplied by `padding`."""
    x1, y1, x2, y2 = bbox_xyxy.tolist()
    side = max(x2 - x1, y2 - y1, 1.0) * padding
    return fit_region(((x1 + x2) / 2, (y1 + y2) / 2), (side, side), input_size)


def region_affine(region: Region, input_size: tuple[int, int], *, mirror: bool = False) -> Affine:
    """Return the (2, 3) matrix that maps source px to input px.

    Args:
        region: what to look at.
        input_size: (w, h) of the network input.
        mirror: flip left and right.
    """
    # Plain floats: for six numbers they are several times quicker than arrays.
    sx, sy = input_size[0] / region.size[0], input_size[1] / region.size[1]
    angle = math.radians(region.rotation_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    a, b, c, d = sx * cos, sx * sin, -sy * sin, sy * cos
    if mirror:
        a, b = -a, -b
    x, y = region.center
    tx, ty = (input_size[0] - 1) / 2 - a * x - b * y, (input_size[1] - 1) / 2 - c * x - d * y
    return np.array([[a, b, tx], [c, d, ty]])


def apply_affine(points: FloatArray, matrix: Affine) -> FloatArray:
    """Map (..., 2) points through a (2, 3) matrix."""
    mapped: FloatArray = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return mapped


def invert_affine(matrix: Affine) -> Affine:
    """Return the inverse (2, 3) matrix."""
    (a, b, tx), (c, d, ty) = matrix.tolist()
    det = a * d - b * c
    a, b, c, d = d / det, -b / det, -c / det, a / det
    return np.array([[a, b, -a * tx - b * ty], [c, d, -c * tx - d * ty]])


def crop(image: Image, matrix: Affine, input_size: tuple[int, int]) -> Image:
    """Cut the region out: (h, w, 3) uint8 BGR, black outside of the image.

    When the region is more than twice as large as the input, the image is reduced by area averaging
    first: bilinear sampling alone would skip source pixels.
    """
    (a, b, _), (c, d, _) = matrix.tolist()
    zoom = math.sqrt(abs(a * d - b * c))
    step = max(int(1.0 / zoom + 1e-6), 1)
    # One reduced px more on each side, or the border would be blended with black.
    x1, y1, x2, y2 = _source_box(image, matrix, input_size, margin=step)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return np.zeros((input_size[1], input_size[0], 3), np.uint8)
    part = image[y1:y2, x1:x2]
    if zoom >= 0.5:
        # OpenCV warps four channels in half of the time that it takes for three. The px stay where
        # they are in the image: from other coordinates, others would come out by rounding.
        wide = np.empty((*image.shape[:2], 4), np.uint8)
        cv2.cvtColor(part, cv2.COLOR_BGR2BGRA, wide[y1:y2, x1:x2])
        return np.asarray(cv2.cvtColor(_warp(wide, matrix, input_size), cv2.COLOR_BGRA2BGR))
    small_size = (max((x2 - x1) // step, 1), max((y2 - y1) // step, 1))
    small = cv2.resize(part, small_size, interpolation=cv2.INTER_AREA)
    fx, fy = (x2 - x1) / small_size[0], (y2 - y1) / small_size[1]
    # small px -> source px: centre of small pixel i lies at (i + 0.5) * f - 0.5 in the part.
    to_source = np.array([[fx, 0, (fx - 1) / 2 + x1], [0, fy, (fy - 1) / 2 + y1], [0, 0, 1]])
    return _warp(np.asarray(small, np.uint8), matrix @ to_source, input_size)


def _source_box(
    image: Image, matrix: Affine, input_size: tuple[int, int], margin: int
) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 around the source px that the input shows, within the image."""
    (a, b, tx), (c, d, ty) = invert_affine(matrix).tolist()
    corners = [(x, y) for x in (0, input_size[0] - 1) for y in (0, input_size[1] - 1)]
    xs, ys = [a * x + b * y + tx for x, y in corners], [c * x + d * y + ty for x, y in corners]
    height, width = image.shape[:2]
    return (
        max(math.floor(min(xs)) - margin, 0),
        max(math.floor(min(ys)) - margin, 0),
        min(math.ceil(max(xs)) + margin + 1, width),
        min(math.ceil(max(ys)) + margin + 1, height),
    )


def _warp(image: Image, matrix: Affine, input_size: tuple[int, int]) -> Image:
    warped = cv2.warpAffine(image, matrix, input_size, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How the network wants its input: the manifest's `input` section in numbers.

    Attributes:
        size: (w, h) px.
        color: "rgb" or "bgr".
        layout: "nchw" or "nhwc".
        dtype: "float32" (normalised here) or "uint8" (normalised inside the graph).
        mean: per channel in the network's colour order, on the 0..255 scale.
        std: per channel, on the 0..255 scale.
    """

    size: tuple[int, int]
    color: str = "rgb"
    layout: str = "nchw"
    dtype: str = "float32"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)


def to_tensor(crops_bgr: Image, spec: InputSpec) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Turn (N, h, w, 3) uint8 BGR crops into the network's input tensor."""
    count, height, width = crops_bgr.shape[:3]
    raw, planar, rgb = spec.dtype == "uint8", spec.layout == "nchw", spec.color == "rgb"
    shape = (count, 3, height, width) if planar else (count, height, width, 3)
    tensor = np.empty(shape, np.uint8 if raw else np.float32)
    for image, target in zip(crops_bgr, tensor, strict=True):
        # OpenCV's split and merge are several times as quick as strided copies.
        planes = list(target if planar else np.empty((3, height, width), tensor.dtype))
        if raw:
            cv2.split(image, planes[::-1] if rgb else planes)
        else:
            sources = cv2.split(image)
            _normalize(sources[::-1] if rgb else sources, planes, spec)
        if not planar:
            cv2.merge(planes, target)
    return tensor


def _normalize(sources: Sequence[Image], planes: list[FloatArray], spec: InputSpec) -> None:
    for source, plane, mean, std in zip(sources, planes, spec.mean, spec.std, strict=True):
        np.subtract(source, np.float32(mean), out=plane)
        plane *= np.float32(1.0 / std)
