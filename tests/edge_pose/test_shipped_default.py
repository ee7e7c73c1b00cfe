"""The shipped default artifact on the shipped clips: the only tests that need trained weights."""

from __future__ import annotations

import numpy as np

import edge_pose
from edge_pose.samples import TWO_PEOPLE, WALKING


def test_it_follows_the_walking_person() -> None:
    results = list(edge_pose.stream(WALKING))
    assert len(results) == 175
    found = [(result.frame.image, result.poses[0]) for result in results if result.poses]
    assert len(found) >= 150
    # One person walks by, so hardly ever somebody new appears.
    assert len({pose.id for _, pose in found}) <= 3
    inside = [
        ((pose.keypoints >= 0) & (pose.keypoints < (image.shape[1], image.shape[0]))).mean()
        for image, pose in found
    ]
    assert np.mean(inside) > 0.9
    # The person is upright: the head is above the ankles.
    skeleton = edge_pose.load().keypoint_format
    head = skeleton.keypoints.index("head_top")
    ankles = [skeleton.keypoints.index(f"{side}_ankle") for side in ("left", "right")]
    upright = [pose.keypoints[head, 1] < pose.keypoints[ankles, 1].min() for _, pose in found]
    assert np.mean(upright) > 0.9


def test_it_finds_somebody_in_a_still_of_two_people() -> None:
    still = next(iter(edge_pose.stream(TWO_PEOPLE))).frame.image
    with edge_pose.load() as estimator:
        poses = estimator(still)
    assert poses
    assert all(pose.score >= estimator.min_score for pose in poses)
