"""Skeletons drawn over a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import KeypointFormat
from edge_pose.types import Image, Pose

# BGR. Orange and blue stay apart for people with a red-green weakness (Okabe and Ito's palette).
LEFT = (0, 159, 230)
RIGHT = (233, 180, 86)
MIDDLE = (235, 235, 235)
OUTLINE = (20, 20, 20)

FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE_SHARE = 1 / 160  # thickness of a limb over the shorter side of the picture
LABEL_SHARE = 1 / 28  # height of the label over the shorter side
LABEL_MIN_PX = 9
FONT_HEIGHT_PX = 21.0  # of a capital letter of FONT at scale 1
FAR_PX = 1_000_000.0  # OpenCV takes 32-bit coordinates; a limb that ends farther out is not drawn


def draw_poses(
    image: Image, poses: Sequence[Pose], keypoint_format: KeypointFormat, min_score: float
) -> Image:
    """Draw people over a copy of a picture.

    The person's left side is orange, the right side blue, the rest white; sizes follow the picture.

    Args:
        image: (H, W, 3) uint8 BGR; it is not changed.
        poses: people with K keypoints in px of `image`.
        keypoint_format: names and edges of the K keypoints.
        min_score: keypoints below it are not drawn, in [0, 1].

    Returns:
        (H, W, 3) uint8 BGR.
    """
    canvas = np.ascontiguousarray(image).copy()
    thickness = max(1, round(min(canvas.shape[:2]) * LINE_SHARE))
    rim = max(1, thickness // 3)  # of the dark outline, so that limbs stand out on any ground
    sides = [_side(name) for name in keypoint_format.keypoints]
    for pose in poses:
        visible = _visible(pose, min_score)
        points = [
            (round(x), round(y)) if seen else (0, 0)
            for (x, y), seen in zip(pose.keypoints.tolist(), visible, strict=True)
        ]
        for a, b in keypoint_format.edges:
            if visible[a] and visible[b]:
                colour = _edge_colour(sides[a], sides[b])
                cv2.line(canvas, points[a], points[b], OUTLINE, thickness + 2 * rim, cv2.LINE_AA)
                cv2.line(canvas, points[a], points[b], colour, thickness, cv2.LINE_AA)
        for point, seen, side in zip(points, visible, sides, strict=True):
            if seen:
                cv2.circle(canvas, point, thickness + rim, OUTLINE, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(canvas, point, thickness, side, cv2.FILLED, cv2.LINE_AA)
        _draw_label(canvas, pose, [p for p, seen in zip(points, visible, strict=True) if seen])
    return canvas


def _visible(pose: Pose, min_score: float) -> NDArray[np.bool_]:
    near = np.abs(pose.keypoints) < FAR_PX  # False for NaN too
    visible: NDArray[np.bool_] = near.all(axis=1) & (pose.scores >= min_score)
    return visible


def _side(keypoint: str) -> tuple[int, int, int]:
    if keypoint.startswith("left_"):
        return LEFT
    return RIGHT if keypoint.startswith("right_") else MIDDLE


def _edge_colour(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    """A limb between one side and the middle belongs to the side; between both, to the middle."""
    if a == b or b == MIDDLE:
        return a
    return b if a == MIDDLE else MIDDLE


def _draw_label(canvas: Image, pose: Pose, points: list[tuple[int, int]]) -> None:
    """Write id and score above the topmost visible keypoint, inside the picture."""
    if not points:
        return
    height, width = canvas.shape[:2]
    letter_px = max(LABEL_MIN_PX, min(height, width) * LABEL_SHARE)
    scale = letter_px / FONT_HEIGHT_PX
    thickness = max(1, round(scale * 1.6))
    text = f"{pose.score:.2f}" if pose.id is None else f"#{pose.id} {pose.score:.2f}"
    (text_w, text_h), below = cv2.getTextSize(text, FONT, scale, thickness)
    top_x, top_y = min(points, key=lambda point: point[1])
    x = min(max(top_x - text_w // 2, 0), max(width - text_w, 0))
    y = min(max(top_y - text_h, text_h + below), max(height - below, text_h))
    cv2.putText(canvas, text, (x, y), FONT, scale, OUTLINE, thickness + 2, cv2.LINE_AA)
    cv2.putText(canvas, text, (x, y), FONT, scale, MIDDLE, thickness, cv2.LINE_AA)
