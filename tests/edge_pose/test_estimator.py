"""From a picture to people: positions, scores, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge_pose
from edge_pose.errors import UsageError
from edge_pose.estimator import Estimator, Stopwatch
from edge_pose.preprocess import Region, bbox_region

# The tiny network has 16 cells a side: 4 input px each. Blobs are centred to a small part of that.
CELL_SHARE = 0.15


@pytest.fixture(scope="module")
def estimator(tiny_artifact: Path) -> Iterator[Estimator]:
    with edge_pose.load(tiny_artifact) as loaded:
        yield loaded


def test_shapes_types_and_ranges(estimator: Estimator, scene: Any) -> None:
    poses = estimator(scene().person((80, 60)).image)
    assert isinstance(poses, list)
    pose = poses[0]
    assert (pose.keypoints.shape, pose.keypoints.dtype) == ((16, 2), np.float32)
    assert (pose.scores.shape, pose.scores.dtype) == ((16,), np.float32)
    assert (pose.bbox_xyxy.shape, pose.bbox_xyxy.dtype) == ((4,), np.float32)
    assert isinstance(pose.score, float)
    assert 0 < pose.score <= 1
    assert ((pose.scores >= 0) & (pose.scores <= 1)).all()
    assert pose.id is None
    assert [p.score for p in poses] == sorted((p.score for p in poses), reverse=True)


def test_the_best_person_found_is_the_one_that_was_drawn(estimator: Estimator, scene: Any) -> None:
    for center in ((50, 50), (80, 60), (110, 70)):
        pose = estimator(scene().person(center, 48).image)[0]
        expected = scene.keypoints(center, 48)
        cell_px = 48 * 1.4 / 16  # of the crop that fits the person
        assert np.abs(pose.keypoints - expected).max() < CELL_SHARE * cell_px
        box = [*expected.min(axis=0), *expected.max(axis=0)]
        assert pose.bbox_xyxy == pytest.approx(box, abs=CELL_SHARE * cell_px)


def test_nobody_in_an_empty_picture(estimator: Estimator, scene: Any) -> None:
    assert estimator(scene().image) == []
    assert estimator(np.zeros((2, 2, 3), np.uint8)) == []
    assert estimator(np.full((30, 300, 3), 255, np.uint8)) == []


@given(
    x=st.floats(70, 130),
    y=st.floats(60, 100),
    side=st.floats(80, 180),
    rotation_deg=st.floats(-180, 180),
)
def test_positions_come_back_in_source_px_from_any_region(
    estimator: Estimator, scene: Any, x: float, y: float, side: float, rotation_deg: float
) -> None:
    image = scene((200, 160)).person((100, 80), 48).image
    region = Region((x, y), (side, side), rotation_deg)
    pose = estimator.estimate(image, region)
    expected = scene.keypoints((100, 80), 48)
    cell_px = side / 16
    # Blobs that the region cuts off cannot be found in it.
    angle = np.radians(rotation_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    seen = (np.abs((expected - (x, y)) @ turn.T) < side / 2 - 3 * cell_px).all(axis=1)
    assert np.abs(pose.keypoints - expected)[seen].max(initial=0) < CELL_SHARE * cell_px + 0.1
    assert (pose.scores[seen] > 0.5).all()


def test_refine_keeps_the_better_one(estimator: Estimator, scene: Any) -> None:
    image = scene((320, 240)).person((100, 100), 40).image
    coarse = estimator.estimate(image, Region((160, 120), (320, 320)))
    closer = estimator.refine(image, coarse)
    assert closer.score > coarse.score
    expected = scene.keypoints((100, 100), 40)
    assert np.abs(closer.keypoints - expected).max() < np.abs(coarse.keypoints - expected).max()
    assert estimator.refine(scene((320, 240)).image, closer) is closer


def test_the_box_spans_the_confident_keypoints_only(tiny_artifact: Path, scene: Any) -> None:
    # Without its blue blob, the last third of the keypoints has no score.
    whole = scene().person((80, 60), 48).image
    image = whole.copy()
    image[72:] = 40
    region = bbox_region(np.array([56, 36, 104, 84], np.float32), (64, 64), 1.4)
    with edge_pose.load(tiny_artifact) as estimator:
        pose = estimator.estimate(image, region)
        assert (pose.scores[11:] < 0.3).all()
        assert pose.bbox_xyxy == pytest.approx([56, 36, 104, 60], abs=1.5)
        # The better half of the scores counts, so a person half hidden is still a person.
        assert pose.score == pytest.approx(float(np.sort(pose.scores)[8:].mean()))
        assert pose.score > 0.8


def test_thresholds_are_the_callers(tiny_artifact: Path, scene: Any) -> None:
    image = scene().person((80, 60), 48).image
    with edge_pose.load(tiny_artifact, min_score=0.95) as strict:
        assert all(pose.score >= 0.95 for pose in strict(image))
    with edge_pose.load(tiny_artifact, min_score=0.2) as lenient:
        assert len(lenient(image)) > len(strict_poses(tiny_artifact, image))


def strict_poses(artifact: Path, image: np.ndarray) -> list[edge_pose.Pose]:
    with edge_pose.load(artifact, min_score=0.95) as strict:
        return strict(image)


@pytest.mark.parametrize(
    "image",
    [
        None,
        "clip.mp4",
        [[1, 2, 3]],
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((1, 10, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((1, 10, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_a_usage_error(estimator: Estimator, image: Any) -> None:
    with pytest.raises(UsageError) as caught:
        estimator(image)
    message = str(caught.value)
    assert message.startswith("image: found ")
    assert message.endswith("expected (H, W, 3) uint8 BGR")
    assert "\n" not in message


def test_views_that_numpy_users_pass(estimator: Estimator, scene: Any) -> None:
    image = scene().person((80, 60), 48).image
    plain = estimator(image)[0]
    swapped = estimator(np.ascontiguousarray(image[..., ::-1])[..., ::-1])[0]  # RGB to BGR
    assert swapped.keypoints == pytest.approx(plain.keypoints, abs=0.01)
    image.flags.writeable = False
    assert estimator(image)[0].keypoints == pytest.approx(plain.keypoints)
    wide = np.zeros((120, 320, 3), np.uint8)
    wide[:, ::2] = image
    assert estimator(wide[:, ::2])[0].keypoints == pytest.approx(plain.keypoints)


def test_the_stopwatch_adds_up(estimator: Estimator, scene: Any) -> None:
    watch = Stopwatch()
    estimator.search(scene().image, watch)
    assert set(watch.stage_s) == {"preprocess", "infer", "decode"}
    before = dict(watch.stage_s)
    estimator.search(scene().image, watch)
    assert all(watch.stage_s[name] > before[name] > 0 for name in before)


def test_a_stopwatch_tells_before_the_network_runs(estimator: Estimator, scene: Any) -> None:
    told: list[set[str]] = []
    watch = Stopwatch(lambda: told.append(set(watch.stage_s)))
    region = Region((80, 60), (60, 60))
    estimator.estimate(scene().image, region, watch)
    assert told == [{"preprocess"}]


def test_the_shipped_default_loads_and_runs(scene: Any) -> None:
    with edge_pose.load() as estimator:
        for pose in estimator(scene((320, 240)).image):
            assert pose.keypoints.shape == (len(estimator.keypoint_format.keypoints), 2)
            assert np.isfinite(pose.keypoints).all()
