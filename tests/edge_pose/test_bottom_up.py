"""Everybody of a picture in one pass, with a tiny network that tells left from right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose.bottom_up import BottomUpEstimator
from edge_pose.config import RunConfig, TrackingConfig
from edge_pose.errors import UsageError
from edge_pose.estimator import Stopwatch
from edge_pose.preprocess import Region
from edge_pose.tracking_people import CrowdTracker
from edge_pose.types import Image, Pose

SIZE = (160, 120)
LEFT, RIGHT = (40.0, 60.0), (120.0, 60.0)
SPAN = 40.0
# A px of the finer heatmaps is 2 px of the input and 5 px of the picture.
CELL_PX = 5.0


@pytest.fixture(scope="module")
def estimator(crowd_artifact: Path) -> Iterator[BottomUpEstimator]:
    with edge_pose.load(crowd_artifact, min_score=0.3) as loaded:
        assert isinstance(loaded, BottomUpEstimator)
        yield loaded


def near(pose: Pose, truth: Any) -> bool:
    return bool(np.abs(pose.keypoints - truth).max() < CELL_PX)


def test_two_people_in_one_pass(estimator: BottomUpEstimator, scene: Any) -> None:
    networks: list[str] = []
    watch = Stopwatch(lambda: networks.append("about to run"))
    poses = estimator.search(scene(SIZE).person(LEFT, SPAN).person(RIGHT, SPAN).image, watch)
    assert len(networks) == 1
    assert len(poses) == 2
    left, right = sorted(poses, key=lambda pose: float(pose.bbox_xyxy[0]))
    assert near(left, scene.keypoints(LEFT, SPAN))
    assert near(right, scene.keypoints(RIGHT, SPAN))
    assert set(watch.stage_s) == {"preprocess", "infer", "decode"}
    for pose in poses:
        assert (pose.keypoints.shape, pose.keypoints.dtype) == ((16, 2), np.float32)
        assert (pose.scores.shape, pose.scores.dtype) == ((16,), np.float32)
        assert 0.3 <= pose.score <= 1
        assert pose.id is None
    assert [p.score for p in poses] == sorted((p.score for p in poses), reverse=True)


def test_pictures_of_any_shape(estimator: BottomUpEstimator, scene: Any) -> None:
    # Everybody in the left half of the input, which is that of the picture.
    tall = scene((120, 200)).person((30, 120), 40).image
    wide = scene((400, 90)).person((60, 45), 60).image
    for image, center, span in ((tall, (30, 120), 40), (wide, (60, 45), 60)):
        (pose,) = estimator(image)
        cell_px = 2 * max(image.shape[:2]) / 64
        assert np.abs(pose.keypoints - scene.keypoints(center, span)).max() < cell_px


def test_nobody_and_no_picture(estimator: BottomUpEstimator, scene: Any) -> None:
    assert estimator(scene(SIZE).image) == []
    with pytest.raises(UsageError, match=r"expected \(H, W, 3\) uint8 BGR"):
        estimator(np.zeros((4, 4), np.uint8))


def test_the_least_score_can_be_lowered(estimator: BottomUpEstimator, scene: Any) -> None:
    image = scene(SIZE).person(LEFT, SPAN).image
    (pose,) = estimator(image)
    assert estimator.search(image, min_score=pose.score + 0.01) == []
    assert len(estimator.search(image, min_score=pose.score - 0.01)) == 1


def test_one_region(estimator: BottomUpEstimator, scene: Any) -> None:
    image = scene(SIZE).person(LEFT, SPAN).image
    pose = estimator.estimate(image, Region((75, 60), (110, 110)))
    assert near(pose, scene.keypoints(LEFT, SPAN))
    empty = estimator.estimate(image, Region(RIGHT, (64, 64)))
    assert empty.score == 0
    assert (empty.keypoints == np.array(RIGHT, np.float32)).all()
    assert estimator.refine(image, pose).score >= pose.score
    estimator.warm_up()


def test_it_sees_what_training_measures(
    estimator: BottomUpEstimator, crowd_artifact: Path, scene: Any, need: Any
) -> None:
    need("torch")
    from training.bottom_up.evaluate import ScenePredictor
    from training.predictors import open_predictor

    image = scene((200, 110)).person((50, 50), 50).person((150, 60), 60).image
    network, _ = open_predictor(str(crowd_artifact))
    measured = ScenePredictor(network).predict(image)
    poses = estimator.search(image, min_score=0)
    assert len(poses) == 2
    for pose in poses:
        same = (measured.keypoint_scores == pose.scores).all(axis=1)
        assert (measured.keypoints[same] == pose.keypoints).all()
        assert same.sum() == 1


CONFIG = TrackingConfig(acquire_score=0.5, min_score=0.3, patience=3)


def walk(scene: Any, step: int) -> Image:
    """Two people who walk up and down."""
    image: Image = (
        scene(SIZE)
        .person((40, 60 + 2 * (step % 10)), SPAN)
        .person((120, 75 - 2 * (step % 10)), SPAN)
        .image
    )
    return image


def test_ids_stay(estimator: BottomUpEstimator, scene: Any) -> None:
    tracker = CrowdTracker(estimator, CONFIG, 10)
    first: dict[int | None, bool] = {}
    for step in range(10):
        poses = tracker(walk(scene, step), Stopwatch())
        sides = {pose.id: pose.bbox_xyxy[0] < 80 for pose in poses}
        assert len(sides) == 2
        assert set(sides) == {1, 2}
        first = first or sides
        assert sides == first
    for _ in range(CONFIG.patience):
        assert tracker(scene(SIZE).image, Stopwatch()) == []
    back = {pose.id: pose.bbox_xyxy[0] < 80 for pose in tracker(walk(scene, 9), Stopwatch())}
    assert back == first
    for _ in range(CONFIG.patience + 1):
        tracker(scene(SIZE).image, Stopwatch())
    assert {pose.id for pose in tracker(walk(scene, 9), Stopwatch())} == {3, 4}
    tracker.reset()
    assert {pose.id for pose in tracker(walk(scene, 9), Stopwatch())} == {5, 6}


def test_at_most_so_many(estimator: BottomUpEstimator, scene: Any) -> None:
    tracker = CrowdTracker(estimator, CONFIG, 1)
    assert [pose.id for pose in tracker(walk(scene, 0), Stopwatch())] == [1]


def test_a_run_publishes_everybody(
    crowd_artifact: Path, scene: Any, tmp_path: Path, make_video: Any
) -> None:
    clip = make_video([walk(scene, step) for step in range(10)])
    options = {"tracking": {"acquire_score": 0.4, "min_score": 0.3}}
    results = list(edge_pose.stream(clip, model=crowd_artifact, **options))
    assert [len(result.poses) for result in results] == [2] * 10
    assert {pose.id for result in results for pose in result.poses} == {1, 2}
    config = RunConfig.model_validate(
        {
            "source": str(clip),
            "model": str(crowd_artifact),
            "jsonl": tmp_path / "o.jsonl",
            **options,
        }
    )
    assert edge_pose.run(config).frames == 10
