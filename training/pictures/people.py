"""People cut out of their pictures, with skeletons drawn over them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.preprocess import Affine, apply_affine, crop, region_affine
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Image
from training.datasets.base import Person
from training.samples import read_image

# BGR, Okabe and Ito's.
LEFT, RIGHT, MIDDLE = (0, 159, 230), (233, 180, 86), (66, 228, 240)
TRUTH, WRONG, OUTLINE = (255, 255, 255), (60, 60, 255), (20, 20, 20)

Mask = NDArray[np.bool_]


def cut_out(person: Person, side_px: int) -> tuple[Image, Affine]:
    """Return the ground-truth crop (side, side, 3), and the matrix from source px to its px."""
    size = (side_px, side_px)
    matrix = region_affine(person.region(size), size)
    return crop(read_image(person.image), matrix, size), matrix


def draw_truth(image: Image, points: FloatArray, present: Mask, keypoints: KeypointFormat) -> None:
    """Draw thin white limbs and points with a dark rim into `image`; points (K, 2) in its px."""
    ends, known = _with_trunk(points, present, keypoints)
    for colour, width in ((OUTLINE, 3), (TRUTH, 1)):
        for a, b in keypoints.edges:
            if known[a] and known[b]:
                cv2.line(image, _xy(ends[a]), _xy(ends[b]), colour, width, cv2.LINE_AA)
    for point in points[present]:
        cv2.circle(image, _xy(point), 3, OUTLINE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, _xy(point), 2, TRUTH, cv2.FILLED, cv2.LINE_AA)


def draw_prediction(
    image: Image, points: FloatArray, present: Mask, wrong: Mask, keypoints: KeypointFormat
) -> None:
    """Draw the person's left side orange, the right side blue, the middle yellow; bold.

    Args:
        image: (h, w, 3), drawn into.
        points: (K, 2) px of `image`.
        present: (K,) which of them are drawn.
        wrong: (K,) which of them are drawn as a cross.
        keypoints: names and edges.
    """
    sides = [_colour(name) for name in keypoints.keypoints]
    ends, known = _with_trunk(points, present, keypoints)
    for a, b in keypoints.edges:
        if known[a] and known[b]:
            line = _xy(ends[a]), _xy(ends[b])
            cv2.line(image, *line, OUTLINE, 6, cv2.LINE_AA)
            cv2.line(image, *line, _limb(sides[a], sides[b]), 4, cv2.LINE_AA)
    for joint in np.flatnonzero(present):
        if wrong[joint]:
            for colour, thickness in ((OUTLINE, 5), (WRONG, 2)):
                at = _xy(points[joint])
                cv2.drawMarker(image, at, colour, cv2.MARKER_TILTED_CROSS, 11, thickness)
        else:
            cv2.circle(image, _xy(points[joint]), 5, OUTLINE, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(image, _xy(points[joint]), 4, sides[joint], cv2.FILLED, cv2.LINE_AA)


def truth_tile(person: Person, side_px: int, keypoints: KeypointFormat) -> Image:
    """Return the crop of a person with the annotated skeleton."""
    image, matrix = cut_out(person, side_px)
    draw_truth(image, apply_affine(person.keypoints, matrix), person.present, keypoints)
    return image


def _with_trunk(
    points: FloatArray, present: Mask, keypoints: KeypointFormat
) -> tuple[FloatArray, Mask]:
    """Put pelvis and thorax between hips and shoulders where a data set does not annotate them.

    The limbs of the trunk go through them, and would not be drawn.
    """
    points, present = points.copy(), present.copy()
    names = keypoints.keypoints
    for middle, part in (("pelvis", "hip"), ("thorax", "shoulder")):
        if middle in names and not present[names.index(middle)]:
            pair = [names.index(f"{side}_{part}") for side in ("left", "right")]
            points[names.index(middle)] = points[pair].mean(axis=0)
            present[names.index(middle)] = present[pair].all()
    return points, present


def _colour(keypoint: str) -> tuple[int, int, int]:
    if keypoint.startswith("left_"):
        return LEFT
    return RIGHT if keypoint.startswith("right_") else MIDDLE


def _limb(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    """A limb between one side and the middle belongs to the side; between both, to the middle."""
    if a == b or b == MIDDLE:
        return a
    return b if a == MIDDLE else MIDDLE


def _xy(point: FloatArray) -> tuple[int, int]:
    # OpenCV takes 32-bit numbers; nothing that far out is seen anyway.
    x, y = np.clip(np.nan_to_num(point), -10_000, 10_000).tolist()
    return round(x), round(y)
