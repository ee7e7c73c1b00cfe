"""Who is who from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest

from edge_pose.config import TrackingConfig
from edge_pose.identities import Identities
from edge_pose.search import box_iou
from edge_pose.skeleton import MPII16
from edge_pose.types import Pose

CONFIG = TrackingConfig(acquire_score=0.6, min_score=0.4, patience=1)


def pose(x: float, y: float = 0.0, score: float = 0.8) -> Pose:
    """A person of 30×40 px with the left top corner at (x, y)."""
    grid = np.stack(np.meshgrid(np.linspace(0, 30, 4), np.linspace(0, 40, 4)), axis=-1)
    points = (grid.reshape(16, 2) + np.array([x, y])).astype(np.float32)
    box = np.array([x, y, x + 30, y + 40], np.float32)
    return Pose(points, np.full(16, score, np.float32), box, score)


@pytest.fixture
def identities() -> Identities:
    return Identities(MPII16, CONFIG, 3)


def ids(poses: list[Pose]) -> dict[float, int | None]:
    return {float(p.bbox_xyxy[0]): p.id for p in poses}


def test_the_nearest_keeps_the_id_whatever_the_order(identities: Identities) -> None:
    assert ids(identities([pose(0, score=0.9), pose(50)])) == {0: 1, 50: 2}
    assert ids(identities([pose(46), pose(4)])) == {46: 2, 4: 1}
    # One pose between two people is the nearer one's.
    assert ids(identities([pose(20), pose(44)])) == {20: 1, 44: 2}


def test_best_score_first(identities: Identities) -> None:
    identities([pose(0), pose(50)])
    found = identities([pose(0, score=0.5), pose(50, score=0.7)])
    assert [(p.id, p.score) for p in found] == [(2, 0.7), (1, 0.5)]


def test_somebody_new_needs_more_than_somebody_known(identities: Identities) -> None:
    assert identities([pose(0, score=0.5)]) == []
    assert ids(identities([pose(0, score=0.6)])) == {0: 1}
    assert ids(identities([pose(0, score=0.45)])) == {0: 1}
    assert identities([pose(0, score=0.39)]) == []


def test_patience(identities: Identities) -> None:
    identities([pose(0)])
    assert identities([]) == []
    assert ids(identities([pose(1)])) == {1: 1}
    identities([])
    identities([])
    assert ids(identities([pose(1)])) == {1: 2}


def test_at_most_so_many_the_best(identities: Identities) -> None:
    crowd = [pose(60.0 * i, score=0.6 + 0.05 * i) for i in range(5)]
    assert ids(identities(crowd)) == {240: 1, 180: 2, 120: 3}


def test_somebody_far_away_is_somebody_else(identities: Identities) -> None:
    identities([pose(0)])
    assert ids(identities([pose(200)])) == {200: 2}


def test_overlap_of_boxes() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    assert box_iou(box, box) == 1
    assert box_iou(box, box + 5) == pytest.approx(25 / 175)
    assert box_iou(box, box + 20) == 0
    assert box_iou(box[[0, 1, 0, 1]], box[[0, 1, 0, 1]]) == 0
