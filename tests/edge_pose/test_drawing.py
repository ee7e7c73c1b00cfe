from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.drawing import LEFT, RIGHT, draw_poses
from edge_pose.skeleton import COCO17, MPII16, KeypointFormat
from edge_pose.types import Image, Pose


def person(
    keypoint_format: KeypointFormat, size: int, score: float = 0.9, person_id: int | None = 3
) -> Pose:
    """Left keypoints down the right of the picture, right ones down its left (facing us)."""
    count = len(keypoint_format.keypoints)
    y = np.linspace(0.3, 0.9, count) * size
    x = np.full(count, 0.5 * size)
    for index, name in enumerate(keypoint_format.keypoints):
        x[index] += {"left": 0.3, "righ": -0.3}.get(name[:4], 0.0) * size
    keypoints = np.stack([x, y], axis=1).astype(np.float32)
    scores = np.full(count, score, np.float32)
    return Pose(keypoints, scores, np.array([0, 0, size, size], np.float32), score, person_id)


def near(image: Image, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.abs(image.astype(int) - np.array(colour)).max(axis=2) < 12


@pytest.mark.parametrize("keypoint_format", [MPII16, COCO17])
@pytest.mark.parametrize("size", [64, 480])
def test_sides_have_their_colours_and_the_input_stays(
    keypoint_format: KeypointFormat, size: int
) -> None:
    image = np.zeros((size, size, 3), np.uint8)
    drawn = draw_poses(image, [person(keypoint_format, size)], keypoint_format, 0.3)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert not image.any()
    left, right = near(drawn, LEFT), near(drawn, RIGHT)
    assert left[:, int(0.6 * size) :].any()
    assert not left[:, : int(0.4 * size)].any()
    assert right[:, : int(0.4 * size)].any()
    assert not right[:, int(0.6 * size) :].any()


def test_lines_grow_with_the_picture() -> None:
    shares = []
    for size in (240, 1920):
        image = np.zeros((size, size, 3), np.uint8)
        drawn = draw_poses(image, [person(MPII16, size)], MPII16, 0.3)
        shares.append(near(drawn, LEFT).mean())
    assert shares[0] == pytest.approx(shares[1], rel=0.5)


def test_weak_keypoints_are_left_out() -> None:
    image = np.full((200, 200, 3), 60, np.uint8)
    assert (draw_poses(image, [person(MPII16, 200, score=0.2)], MPII16, 0.3) == image).all()
    assert (draw_poses(image, [], MPII16, 0.3) == image).all()


def test_the_label_shows_id_and_score() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    labels = [
        draw_poses(image, [person(MPII16, 300, score, person_id)], MPII16, 0.3)
        for score, person_id in ((0.9, 3), (0.9, None), (0.9, 4), (0.8, 3))
    ]
    assert len({label.tobytes() for label in labels}) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e12, -1e12])
def test_impossible_positions_are_left_out(value: object) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    lost = person(MPII16, 200)
    lost.keypoints[0] = value
    assert draw_poses(image, [lost], MPII16, 0.3).any()
    lost.keypoints[:] = value
    assert not draw_poses(image, [lost], MPII16, 0.3).any()


def test_positions_outside_of_the_picture_and_tiny_pictures() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    outside = person(MPII16, 100)
    assert draw_poses(image, [outside], MPII16, 0.3).shape == (16, 16, 3)
    mirrored = np.zeros((64, 64, 3), np.uint8)[:, ::-1]  # not contiguous
    assert draw_poses(mirrored, [person(MPII16, 64)], MPII16, 0.3).any()
