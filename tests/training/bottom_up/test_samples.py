from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import MPII16
from training.bottom_up.options import SceneConfig
from training.bottom_up.samples import SceneSamples, collate_scenes
from training.datasets.boxes import Picture
from training.datasets.scenes import Scene, Unlabelled, box_areas, joint_boxes, load_scenes
from training.samples import MIRROR, Key
from training.transforms import AugmentConfig

STILL = SceneConfig(p_composite=0, rotate_deg=0, zoom=(1, 1), shift=0)
PLAIN = AugmentConfig(p_flip=0, color_gain=0, brightness=0, p_gray=0, p_blur=0, p_cutout=0)


@pytest.fixture
def dots(tmp_path: Path) -> Scene:
    """Two people whose joints are bright dots, each with its own brightness, on black."""
    image = np.zeros((160, 240, 3), np.uint8)
    first = np.array([[20 + 24 * (i % 4), 20 + 36 * (i // 4)] for i in range(16)], np.float32)
    keypoints = np.stack([first, first + np.array([120, 6])]).astype(np.float32)
    for person in keypoints:
        for i, (x, y) in enumerate(person):
            cv2.circle(image, (int(x), int(y)), 4, (100 + 9 * i,) * 3, -1)
    cv2.imwrite(str(tmp_path / "dots.png"), image)
    present = np.ones((2, 16), np.bool_)
    present[1, 3] = False
    boxes = np.array([[0, 150, 239, 159]], np.float32)
    return Scene(
        "mpii", (0, 1), tmp_path / "dots.png", keypoints, present,
        box_areas(joint_boxes(keypoints, present)), np.full(2, np.nan, np.float32),
        Unlabelled(boxes, box_areas(boxes), np.array([True])), False,
    )  # fmt: skip


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_keypoints_stay_on_their_dots(dots: Scene, flip: float) -> None:
    config = SceneConfig(p_composite=0, rotate_deg=30)
    augment = PLAIN.model_copy(update={"p_flip": flip})
    samples = SceneSamples([dots], config, augment, MPII16)
    seen = 0
    for position in range(8):
        sample = samples[Key(1, 0, position, 0, 256)]
        assert sample.crop.shape == (256, 256, 3)
        assert sample.known.shape == (16, 64, 64)
        for person in range(2):
            for joint, (x, y) in enumerate(sample.keypoints[person]):
                if not (4 <= x < 251 and 4 <= y < 251 and sample.shown[person, joint]):
                    continue
                dot = MIRROR[joint] if flip else joint
                value = int(sample.crop[round(float(y)), round(float(x)), 0])
                assert abs(value - (100 + 9 * int(dot))) <= 12
                seen += 1
    assert seen > 60


def test_what_nobody_annotated_is_not_judged(dots: Scene) -> None:
    samples = SceneSamples([dots], STILL, None, MPII16)
    other, missing = 5, 3
    drawn = (samples[Key(1, 0, position, 0, 128)] for position in range(50))
    sample = next(s for s in drawn if s.keypoints.min() > 0 and s.keypoints.max() < 127)
    # The person with a missing joint: not judged within his box, in this one heatmap.
    assert sample.shown[:, missing].tolist() == [True, False]
    (x1, y1), (x2, y2) = (sample.keypoints[:, other] / 4).astype(int)
    assert sample.known[missing, y1, x1]
    assert not sample.known[missing, y2, x2]
    assert sample.known[other, y2, x2]
    unlabelled = ~sample.known.any(axis=0)
    assert 0 < unlabelled.sum() < unlabelled.size / 3


def test_bystanders_are_not_judged(dots: Scene) -> None:
    stranger = np.array([[200, 100, 239, 159]], np.float32)
    labels = Picture("mpii", (0, 1), dots.image, (240, 160), stranger, stranger[:0], False)
    bare = replace(dots, unlabelled=Unlabelled(stranger[:0], np.zeros(0), np.zeros(0, np.bool_)))
    still = STILL.model_copy(update={"closest": 0.0})
    known, masked = (
        SceneSamples([scene], still, None, MPII16)[Key(1, 0, 0, 0, 240)].known
        for scene in (bare, replace(bare, labels=labels))
    )
    # The picture lies in the middle of the square view, 40 px from its top.
    difference = np.argwhere((known & ~masked).all(axis=0)) * 4
    assert difference.min(axis=0).tolist() == pytest.approx([140, 200], abs=4)
    assert difference.max(axis=0).tolist() == pytest.approx([196, 236], abs=4)


def test_the_whole_picture_is_seen_where_no_view_is_closer(dots: Scene) -> None:
    still = STILL.model_copy(update={"closest": 0.0})
    samples = SceneSamples([dots], still, None, MPII16)
    drawn = [samples[Key(1, epoch, 0, 0, 240)] for epoch in range(6)]
    for sample in drawn:
        assert sample.keypoints == pytest.approx(dots.keypoints + np.array([0, 40]), abs=0.1)
        assert np.array_equal(sample.crop, drawn[0].crop)
    closer = SceneSamples([dots], STILL, None, MPII16)
    assert len({closer[Key(1, e, 0, 0, 64)].crop.tobytes() for e in range(6)}) == 6


def test_people_too_small_to_be_seen_are_not_judged(dots: Scene) -> None:
    samples = SceneSamples([dots], STILL.model_copy(update={"zoom": (0.1, 0.1)}), None, MPII16)
    sample = samples[Key(1, 0, 0, 0, 128)]
    assert not sample.shown.any()
    x, y = (sample.keypoints[0, 5] / 4).astype(int)
    assert not sample.known[:, y, x].any()


def test_the_same_key_gives_the_same_sample(generated: Path) -> None:
    scenes = load_scenes("mpii", generated)
    one, two = (
        SceneSamples(scenes, SceneConfig(p_composite=0.5), AugmentConfig(), MPII16)
        for _ in range(2)
    )
    people = []
    for position in range(12):
        key = Key(3, 1, position, position, 96)
        assert np.array_equal(one[key].crop, two[key].crop)
        assert np.array_equal(one[key].keypoints, two[key].keypoints)
        assert np.array_equal(one[key].known, two[key].known)
        people.append(len(one[key].shown))
    assert min(people) == 1
    assert max(people) > 1


def test_collate_fills_up_with_people_who_are_not_shown(generated: Path) -> None:
    scenes = load_scenes("mpii", generated)
    alone = SceneSamples(scenes, STILL, None, MPII16)[Key(1, 0, 0, 0, 64)]
    config = SceneConfig(p_composite=1, max_pasted=3)
    samples = SceneSamples(scenes, config, None, MPII16)
    several = next(s for s in (samples[Key(1, 0, i, 0, 64)] for i in range(9)) if len(s.shown) == 4)
    spec = InputSpec((64, 64))
    images, keypoints, shown, known = collate_scenes([alone, several], spec)
    assert images.shape == (2, 3, 64, 64)
    assert images.dtype == torch.float32
    assert keypoints.shape == (2, 4, 16, 2)
    assert shown.sum(dim=2)[0].tolist() == [int(alone.shown.sum()), 0, 0, 0]
    assert known.shape == (2, 16, 16, 16)
    assert known.dtype == shown.dtype == torch.bool
