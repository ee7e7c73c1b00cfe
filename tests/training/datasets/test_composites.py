from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.skeleton import MPII16
from training.datasets.boxes import Picture as BoxPicture
from training.datasets.composites import CUT_OUTS, compose
from training.datasets.scenes import Scene, Unlabelled, box_areas, joint_boxes

MakeScene = Callable[..., Scene]
BODY = (
    (50, 110), (48, 85), (45, 60), (55, 60), (52, 85), (50, 112), (50, 60), (50, 30),
    (50, 26), (50, 12), (25, 55), (32, 42), (40, 30), (60, 30), (68, 42), (75, 55),
)  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> MakeScene:
    """Return a function: a scene with one standing person, its picture of one colour."""

    def make(color: int, *, size: tuple[int, int] = (100, 120), complete: bool = True) -> Scene:
        file = tmp_path / f"{color}.png"
        cv2.imwrite(str(file), np.full((size[1], size[0], 3), color, np.uint8))
        keypoints = np.array([BODY], np.float32)
        present = np.ones((1, 16), np.bool_)
        present[0, 6] = False
        boxes = np.array([[0, 0, 10, 10]] * (not complete), np.float32).reshape(-1, 4)
        return Scene(
            "mpii", (color,), file, keypoints, present, box_areas(joint_boxes(keypoints, present)),
            np.array([10.0], np.float32),
            Unlabelled(boxes, box_areas(boxes), np.ones(len(boxes), np.bool_)), False,
        )  # fmt: skip

    return make


def test_shown_joints_lie_on_their_own_person(scene: MakeScene) -> None:
    background = scene(60, size=(480, 360), complete=False)
    people = [scene(120), scene(180), scene(240)]
    partly = 0
    for seed in range(25):
        picture = compose(background, people, MPII16, np.random.default_rng(seed))
        assert picture.image.shape == (360, 480, 3)
        assert picture.keypoints.shape == (3, 16, 2)
        assert not picture.shown[:, 6].any()
        assert picture.unknown.sum(axis=1).tolist() == [1, 1, 1]
        for person, color in enumerate((120, 180, 240)):
            for joint in np.flatnonzero(picture.shown[person]):
                x, y = np.rint(picture.keypoints[person, joint]).astype(int)
                # Of its person more than of anything else, at a soft edge too.
                assert (
                    abs(int(picture.image[y, x, 0]) - color) <= max(color - 60, 240 - color) / 2 + 2
                )
        partly += bool((picture.shown.sum(axis=1) < 15).any())
    assert partly > 10


def test_covered_joints_are_not_shown(scene: MakeScene) -> None:
    background = scene(60, size=(480, 360))
    hidden = 0
    for seed in range(25):
        picture = compose(background, [scene(200)], MPII16, np.random.default_rng(seed))
        assert len(picture.shown) == 2  # a complete background keeps its own people
        x, y = np.rint(picture.keypoints[0]).astype(int).T
        under = picture.image[y, x, 0] > 135
        assert np.array_equal(picture.shown[0][~picture.unknown[0]], ~under[~picture.unknown[0]])
        hidden += int(under.sum())
    assert hidden > 20


def test_a_background_with_unlabelled_places_loses_its_people(scene: MakeScene) -> None:
    background = scene(60, complete=False)
    picture = compose(background, [scene(200)], MPII16, np.random.default_rng(1))
    assert len(picture.shown) == 1
    assert len(picture.boxes) == 1
    assert len(picture.ignore) == 0


def test_bystanders_stay_and_are_marked(scene: MakeScene) -> None:
    def labelled(one: Scene, *strangers: list[float]) -> Scene:
        boxes = np.array(strangers, np.float32)
        picture = BoxPicture("mpii", one.indices, one.image, None, boxes, boxes[:0], False)
        return replace(one, labels=picture)

    far, near, away = [80.0, 90.0, 98.0, 118.0], [64.0, 8.0, 90.0, 60.0], [140.0, 8.0, 190.0, 60.0]
    background = labelled(scene(60), far)
    people = [labelled(scene(200, size=(200, 120)), near, away)]
    for seed in range(8):
        picture = compose(background, people, MPII16, np.random.default_rng(seed))
        assert len(picture.shown) == 2
        own, pasted = picture.ignore  # of the pasted person's picture what is cut out with him
        assert own.tolist() == pytest.approx([(v + 0.5) * 480 / 120 - 0.5 for v in far])
        x1, y1, x2, _ = picture.boxes[1].tolist()
        zoom = (x2 - x1) / 70
        left, top = 64 - (25 - 10), 8 - (12 - 10)
        assert pasted[:2].tolist() == pytest.approx([x1 + left * zoom, y1 + top * zoom], abs=0.1)
        assert 23 * zoom - 0.1 < pasted[2] - pasted[0] < 26 * zoom + 0.1
        assert pasted[3] - pasted[1] == pytest.approx(52 * zoom, abs=0.1)


def test_the_same_seed_gives_the_same_picture(scene: MakeScene) -> None:
    arguments = (scene(60), [scene(120), scene(200)], MPII16)
    one, two = (compose(*arguments, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.keypoints, two.keypoints)
    other = compose(*arguments, np.random.default_rng(5))
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", CUT_OUTS)
def test_every_way_to_cut_out_shows_the_joints(
    scene: MakeScene, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.datasets.composites.CUT_OUTS", (kind,))
    shares = []
    for seed in range(12):
        picture = compose(scene(60), [scene(200)], MPII16, np.random.default_rng(seed))
        x, y = picture.keypoints[1].T
        height, width = picture.image.shape[:2]
        inside = (x > 1) & (y > 1) & (x < width - 2) & (y < height - 2) & ~picture.unknown[1]
        shares.append(picture.shown[1][inside].mean() if inside.any() else 1.0)
    assert np.mean(shares) > 0.9
