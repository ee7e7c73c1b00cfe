"""Networks that are shown the whole picture: into their input, and back to px of the picture.

The runtime, training and the converters' gate share this code, so that all see the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_pose.decoding.associative_embedding import decode_poses
from edge_pose.decoding.centers import decode_centers
from edge_pose.preprocess import (
    Affine,
    apply_affine,
    crop,
    fit_region,
    invert_affine,
    region_affine,
)
from edge_pose.types import FloatArray, Image

TAG_STEP = 2  # the finer heatmaps, which are decoded, have twice the resolution of the tags


def letterbox(image_size: tuple[int, int], input_size: tuple[int, int]) -> Affine:
    """Return the matrix that fits a whole picture of `image_size` (w, h) into the input."""
    center = ((image_size[0] - 1) / 2, (image_size[1] - 1) / 2)
    return region_affine(fit_region(center, image_size, input_size), input_size)


def fit_picture(image: Image, input_size: tuple[int, int]) -> tuple[Image, Affine]:
    """Return the (h, w, 3) input with all of the picture in it, and its matrix."""
    matrix = letterbox((image.shape[1], image.shape[0]), input_size)
    return crop(image, matrix, input_size), matrix


def find_people(
    heatmaps: FloatArray, tags: FloatArray, stride: int, order: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Return the people of one input.

    Args:
        heatmaps: (K, h, w), see edge_pose.decoding.fusion.
        tags: (K, h, w, T).
        stride: of the network, input px per px of its coarser maps.
        order: of the keypoints' grouping.

    Returns:
        keypoints (D, K, 2) float32 input px and their scores (D, K) float32 in [0, 1], best mean
        score first; a keypoint that was not found has the score 0.
    """
    found = decode_poses(heatmaps, tags, stride=stride / TAG_STEP, order=order)
    joints = len(heatmaps)
    keypoints = [np.zeros((0, joints, 2), np.float32), *(points[None] for points, _ in found)]
    scores = [np.zeros((0, joints), np.float32), *(scores[None] for _, scores in found)]
    return np.concatenate(keypoints), np.concatenate(scores)


def find_boxes(
    maps: FloatArray,
    stride: int,
    matrix: Affine,
    image_size: tuple[int, int],
    *,
    threshold: float,
    max_boxes: int = 100,
) -> tuple[FloatArray, FloatArray]:
    """Return the boxes of one picture.

    Args:
        maps: (5, h, w), see edge_pose.decoding.centers.
        stride: input px per map px.
        matrix: picture px -> input px.
        image_size: (w, h) px of the picture.
        threshold: lowest score.
        max_boxes: at most so many.

    Returns:
        boxes (M, 4) xyxy px of the picture, clipped to it, and scores (M,), best first.
    """
    found, scores = decode_centers(maps, stride, threshold=threshold, max_boxes=max_boxes)
    corners = apply_affine(found.reshape(-1, 2), invert_affine(matrix))
    return clip_boxes(corners.reshape(-1, 4), image_size), scores


def clip_boxes(boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return (M, 4) boxes inside a picture of `size` (w, h): from -0.5 to w - 0.5 and h - 0.5."""
    limit = np.array([size[0], size[1]] * 2, np.float32) - 0.5
    return boxes.clip(-0.5, limit).astype(np.float32)
