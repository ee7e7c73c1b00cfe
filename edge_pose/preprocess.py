"""From a region of the source image to the network's input, and back.

This is the only copy of this code: training, converters and benchmarks call it too, so that they
see what the device sees. Coordinates follow OpenCV: pixel centres are whole numbers, (0, 0) is the
centre of the top left pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray, Image

Affine = NDArray[np.float64]
"""(2, 3) matrix: source px -> network input px."""

MPII_PERSON_HEIGHT_PX = 200.0  # the unit of MPII's `scale` (Andriluka et al., 2014)


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
    x1, y1, x2, y2 = (float(v) for v in bbox_xyxy)
    side = max(x2 - x1, y2 - y1, 1.0) * padding
    return fit_region(((x1 + x2) / 2, (y1 + y2) / 2), (side, side), input_size)


def mpii_region(
    objpos: tuple[float, float], scale: float, input_size: tuple[int, int], padding: float = 1.25
) -> Region:
    """Return the MPII ground-truth crop: side 200·scale·padding, centre moved down by 15·scale."""
    side = MPII_PERSON_HEIGHT_PX * scale * padding
    return fit_region((objpos[0], objpos[1] + 15.0 * scale), (side, side), input_size)


def region_affine(region: Region, input_size: tuple[int, int], *, mirror: bool = False) -> Affine:
    """Return the (2, 3) matrix that maps source px to input px.

    Args:
        region: what to look at.
        input_size: (w, h) of the network input.
        mirror: flip left and right.
    """
    sx, sy = input_size[0] / region.size[0], input_size[1] / region.size[1]
    angle = math.radians(region.rotation_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[sx * cos, sx * sin], [-sy * sin, sy * cos]])
    if mirror:
        matrix[0] *= -1
    middle = np.array([(input_size[0] - 1) / 2, (input_size[1] - 1) / 2])
    shift = middle - matrix @ np.array(region.center)
    return np.column_stack([matrix, shift])


def apply_affine(points: FloatArray, matrix: Affine) -> FloatArray:
    """Map (..., 2) points through a (2, 3) matrix."""
    mapped: FloatArray = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return mapped


def invert_affine(matrix: Affine) -> Affine:
    """Return the inverse (2, 3) matrix."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def crop(image: Image, matrix: Affine, input_size: tuple[int, int]) -> Image:
    """Cut the region out: (h, w, 3) uint8 BGR, black outside of the image.

    When the region is more than twice as large as the input, the image is reduced by area averaging
    first: bilinear sampling alone would skip source pixels.
    """
    # Singular values of the linear part are the zoom along each axis.
    zoom = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    if zoom >= 0.5:
        return _warp(image, matrix, input_size)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32) * (
        np.array(input_size, np.float32) - 1
    )
    source = apply_affine(corners, invert_affine(matrix))
    height, width = image.shape[:2]
    step = int(1.0 / zoom + 1e-6)
    # One reduced px more on each side, or the border would be blended with black.
    x1, y1 = np.maximum(np.floor(source.min(axis=0)).astype(int) - step, 0)
    x2, y2 = np.minimum(np.ceil(source.max(axis=0)).astype(int) + step + 1, (width, height))
    if x2 - x1 < 2 or y2 - y1 < 2:
        return np.zeros((input_size[1], input_size[0], 3), np.uint8)
    part = image[y1:y2, x1:x2]
    small_size = (max((x2 - x1) // step, 1), max((y2 - y1) // step, 1))
    small = cv2.resize(part, small_size, interpolation=cv2.INTER_AREA)
    fx, fy = (x2 - x1) / small_size[0], (y2 - y1) / small_size[1]
    # small px -> source px: centre of small pixel i lies at (i + 0.5) * f - 0.5 in the part.
    to_source = np.array([[fx, 0, (fx - 1) / 2 + x1], [0, fy, (fy - 1) / 2 + y1], [0, 0, 1]])
    return _warp(np.asarray(small, np.uint8), matrix @ to_source, input_size)


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
    batch = crops_bgr[..., ::-1] if spec.color == "rgb" else crops_bgr
    if spec.layout == "nchw":
        batch = batch.transpose(0, 3, 1, 2)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(batch)
    shape = (1, 3, 1, 1) if spec.layout == "nchw" else (1, 1, 1, 3)
    mean = np.array(spec.mean, np.float32).reshape(shape)
    inv_std = (1.0 / np.array(spec.std, np.float32)).reshape(shape)
    tensor = np.empty(batch.shape, np.float32)
    np.subtract(batch, mean, out=tensor)
    np.multiply(tensor, inv_std, out=tensor)
    return tensor
