"""One person, followed from frame to frame by the tiny network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose.config import TrackingConfig
from edge_pose.estimator import Estimator, Stopwatch
from edge_pose.preprocess import Region
from edge_pose.search import search_regions
from edge_pose.tracking import PersonTracker
from edge_pose.types import Image, Pose

SIZE = (320, 240)
SPAN = 48.0


class CountingEstimator(Estimator):
    """Notes where it was asked to look."""

    def __init__(self, inner: Estimator) -> None:
        self.__dict__.update(inner.__dict__)
        self.regions: list[Region] = []

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        self.regions.append(region)
        return super().estimate(image, region, stopwatch)


@pytest.fixture
def estimator(tiny_artifact: Path) -> Iterator[CountingEstimator]:
    with edge_pose.load(tiny_artifact) as loaded:
        yield CountingEstimator(loaded)


# The tiny network finds single blobs well, so half of a person already has a score of 0.6.
CONFIG = TrackingConfig(acquire_score=0.9, min_score=0.8, patience=3, search_crops=4)


def track(tracker: PersonTracker, image: Image) -> Pose | None:
    poses = tracker(image, Stopwatch())
    assert len(poses) <= 1
    return poses[0] if poses else None


def acquire(tracker: PersonTracker, image: Image, attempts: int = 20) -> Pose:
    for _ in range(attempts):
        if (pose := track(tracker, image)) is not None:
            return pose
    raise AssertionError("nobody found")


def test_follows_a_walking_person_with_one_crop_per_frame(
    estimator: CountingEstimator, scene: Any
) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    first = acquire(tracker, scene(SIZE).person((80, 110), SPAN).image)
    assert first.id == 1
    estimator.regions.clear()
    for step in range(1, 40):
        center = (80 + 4 * step, 110 + 10 * np.sin(step / 5))
        pose = track(tracker, scene(SIZE).person(center, SPAN).image)
        assert pose is not None
        assert pose.id == 1
        # The crop is one frame behind, so a blob may lie at its border: half a cell of 4.2 px.
        assert np.abs(pose.keypoints - scene.keypoints(center, SPAN)).max() < 2.2
    assert len(estimator.regions) == 39


def test_searches_a_few_crops_per_frame_until_somebody_is_there(
    estimator: CountingEstimator, scene: Any
) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    for frames in range(1, 12):
        assert track(tracker, scene(SIZE).image) is None
        assert len(estimator.regions) == 4 * frames
    places = {region.center + region.size for region in estimator.regions}
    assert len(places) == len(search_regions(*SIZE, estimator.input_size))  # it goes round
    assert acquire(tracker, scene(SIZE).person((250, 180), SPAN).image).id == 1


def test_a_short_absence_keeps_the_id(estimator: CountingEstimator, scene: Any) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    image = scene(SIZE).person((80, 110), SPAN).image
    acquire(tracker, image)
    estimator.regions.clear()
    for _ in range(CONFIG.patience):
        assert track(tracker, scene(SIZE).image) is None
    in_place = estimator.regions[:: 1 + CONFIG.search_crops]  # and a search beside it
    assert len(in_place) == CONFIG.patience
    assert len(set(in_place)) == 1  # still looked for in the same place
    pose = track(tracker, image)
    assert pose is not None
    assert pose.id == 1
    # A weak frame in between starts the count anew.
    for _ in range(3):
        for _ in range(CONFIG.patience):
            assert track(tracker, scene(SIZE).image) is None
        assert track(tracker, image) is not None


def test_a_lost_person_is_found_elsewhere_under_a_new_id(
    estimator: CountingEstimator, scene: Any
) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    acquire(tracker, scene(SIZE).person((80, 110), SPAN).image)
    moved = scene(SIZE).person((250, 150), SPAN).image
    assert track(tracker, scene(SIZE).image) is None
    pose = acquire(tracker, moved)
    assert pose.id == 2
    assert np.abs(pose.keypoints - scene.keypoints((250, 150), SPAN)).max() < 1.0


@pytest.mark.parametrize(("left", "right"), [(SPAN, 0.7 * SPAN), (0.7 * SPAN, SPAN)])
def test_of_two_people_the_larger_is_followed(
    estimator: CountingEstimator, scene: Any, left: float, right: float
) -> None:
    # Everything is searched at once, so that both are seen in the same frame.
    tracker = PersonTracker(estimator, CONFIG.model_copy(update={"search_crops": 32}))
    pose = acquire(tracker, scene(SIZE).person((80, 110), left).person((240, 120), right).image)
    assert (pose.bbox_xyxy[2] < 160) == (left > right)


def test_somebody_plainly_better_to_see_takes_over_from_a_doubtful_person(
    estimator: CountingEstimator, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = scene(SIZE).person((80, 110), SPAN).person((250, 150), SPAN).image
    tracker = PersonTracker(estimator, CONFIG)
    first = acquire(tracker, scene(SIZE).person((80, 110), SPAN).image)
    assert {pose and pose.id for pose in (track(tracker, both) for _ in range(20))} == {first.id}
    look = estimator.estimate

    def doubtful(image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        pose = look(image, region, stopwatch)
        left = pose.bbox_xyxy[0] < 160
        return replace(pose, score=0.65) if left else pose

    monkeypatch.setattr(estimator, "estimate", doubtful)
    poses = [track(tracker, both) for _ in range(20)]
    assert poses[-1] is not None
    assert poses[-1].id == first.id + 1
    assert poses[-1].bbox_xyxy[0] > 160


def test_patience_of_zero_searches_from_the_next_frame_on(
    estimator: CountingEstimator, scene: Any
) -> None:
    tracker = PersonTracker(estimator, CONFIG.model_copy(update={"patience": 0}))
    acquire(tracker, scene(SIZE).person((80, 110), SPAN).image)
    assert track(tracker, scene(SIZE).image) is None
    estimator.regions.clear()
    track(tracker, scene(SIZE).image)
    assert len(estimator.regions) == CONFIG.search_crops


def test_the_crop_shrinks_slowly_and_grows_at_once(
    estimator: CountingEstimator, scene: Any
) -> None:
    # Whoever is followed here is never doubtful, so only the crop of the person is looked at.
    config = CONFIG.model_copy(update={"acquire_score": CONFIG.min_score})
    tracker = PersonTracker(estimator, config)
    acquire(tracker, scene(SIZE).person((160, 120), 80).image)
    track(tracker, scene(SIZE).person((160, 120), 80).image)
    estimator.regions.clear()
    small = scene(SIZE).person((160, 120), 40).image
    for _ in range(12):
        assert track(tracker, small) is not None
    sides = [region.size[0] for region in estimator.regions]
    ratios = np.divide(sides[1:], sides[:-1])
    assert ratios.min() == pytest.approx(0.9, abs=1e-3)
    assert sides[-1] == pytest.approx(40 * 1.4, rel=0.05)  # and ends where it fits
    for span in (40, 50, 50):
        assert track(tracker, scene(SIZE).person((160, 120), span).image) is not None
    assert estimator.regions[-1].size[0] == pytest.approx(50 * 1.4, rel=0.05)


def test_a_person_who_leaves_the_picture_is_given_up(
    estimator: CountingEstimator, scene: Any
) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    acquire(tracker, scene(SIZE).person((280, 120), SPAN).image)
    seen = []
    for step in range(40):
        seen.append(track(tracker, scene(SIZE).person((280 + 4 * step, 120), SPAN).image))
    assert seen[0] is not None
    assert seen[-1] is None


def test_reset_forgets_the_person(estimator: CountingEstimator, scene: Any) -> None:
    tracker = PersonTracker(estimator, CONFIG)
    image = scene(SIZE).person((80, 110), SPAN).image
    assert acquire(tracker, image).id == 1
    tracker.reset()
    assert acquire(tracker, image).id == 2


def test_weak_scores_do_not_acquire(estimator: CountingEstimator, scene: Any) -> None:
    tracker = PersonTracker(estimator, CONFIG.model_copy(update={"acquire_score": 1.0}))
    faint = scene(SIZE).person((80, 110), SPAN).image // 2
    for _ in range(12):
        assert track(tracker, faint) is None
