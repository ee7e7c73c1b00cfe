"""The small readers agree with what the annotation files say, and with training's crops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.people import People, clip_people, read_mpii, read_picture
from benchmarks.people_lspet import read_lspet
from edge_pose.errors import EdgePoseError
from edge_pose.skeleton import LSP14, MPII16


def entry(**changes: Any) -> dict[str, Any]:
    joints = [[10.0 + i, 20.0 + i, 1.0] for i in range(16)]
    joints[3] = [0.0, 0.0, 0.0]
    missing = [0] * 16
    missing[3] = 1
    return {
        "isValidation": 1.0, "img_paths": "a.jpg", "objpos": [50.0, 60.0], "scale_provided": 0.5,
        "joint_self": joints, "joint_missing": missing, "head_size": 12.5, **changes,
    }  # fmt: skip


@pytest.fixture
def mpii(tmp_path: Path) -> Callable[..., Path]:
    def write(*entries: dict[str, Any]) -> Path:
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.full((120, 100, 3), 9, np.uint8))
        (tmp_path / "mpii_annotations.json").write_text(json.dumps(entries), "utf-8")
        return tmp_path

    return write


def test_a_person(mpii: Callable[..., Path]) -> None:
    people = read_mpii(mpii(entry()))
    assert (people.dataset, people.metric, people.threshold) == ("mpii", "PCKh@0.5", 0.5)
    (person,) = people.persons
    assert person.picture().shape == (120, 100, 3)
    assert person.unit_px == 12.5
    assert person.present.tolist() == [i != 3 for i in range(16)]
    assert person.keypoints[15].tolist() == [25.0, 35.0]
    region = person.region(1.25, (192, 192))
    assert region.center == (50.0, 67.5)  # y + 15 · scale
    assert region.size == (125.0, 125.0)  # 200 · scale · 1.25
    assert person.region(1.0, (96, 192)).size == (100.0, 200.0)


def test_only_validation_persons_with_a_picture_and_a_unit_are_measured(
    mpii: Callable[..., Path],
) -> None:
    without_unit = entry()
    del without_unit["head_size"]
    nobody = entry(joint_missing=[1] * 16)
    folder = mpii(entry(isValidation=0.0), entry(img_paths="b.jpg"), without_unit, nobody, entry())
    assert len(read_mpii(folder).persons) == 1
    with pytest.raises(EdgePoseError, match="no validation person with head size, joints and"):
        read_mpii(mpii(nobody))


def test_without_a_list_of_missing_joints_those_at_zero_are(mpii: Callable[..., Path]) -> None:
    plain = entry()
    del plain["joint_missing"]
    (person,) = read_mpii(mpii(plain)).persons
    assert person.present.tolist() == [i != 3 for i in range(16)]


def test_it_is_the_crop_and_the_truth_of_training(mpii: Callable[..., Path]) -> None:
    from training.datasets.mpii import read_mpii as read_training

    folder = mpii(entry(), entry(objpos=[31.0, 47.5], scale_provided=1.75))
    for ours, theirs in zip(read_mpii(folder).persons, read_training(folder), strict=True):
        assert ours.region(1.25, (192, 192)) == theirs.region((192, 192))
        np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)
        np.testing.assert_array_equal(ours.present, theirs.present)
        assert ours.unit_px == theirs.unit_px


@pytest.mark.parametrize("text", ["{", "[1]", '[{"isValidation": 1, "head_size": 1}]', "7"])
def test_other_annotations(mpii: Callable[..., Path], text: str) -> None:
    folder = mpii()
    (folder / "mpii_annotations.json").write_text(text, "utf-8")
    with pytest.raises(EdgePoseError, match="not MPII annotations"):
        read_mpii(folder)


def test_no_annotations(tmp_path: Path) -> None:
    with pytest.raises(EdgePoseError, match=r"mpii_annotations.json: cannot be read: No such file"):
        read_mpii(tmp_path)


def test_no_picture(tmp_path: Path) -> None:
    with pytest.raises(EdgePoseError, match="cannot be read"):
        read_picture(tmp_path / "a.jpg")
    for content in (b"", b"no picture"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(EdgePoseError, match="not a picture"):
            read_picture(tmp_path / "a.jpg")


def test_a_clip_has_pictures_and_no_truth(make_clip: Callable[..., Path]) -> None:
    people = clip_people(make_clip(5), 3)
    assert len(people.persons) == 3
    assert people.metric == ""
    _, present, _ = people.truth()
    assert not present.any()
    region = people.persons[0].region(1.0, (64, 64))
    assert region.center == (79.5, 59.5)
    assert region.size == (120.0, 120.0)


@pytest.fixture
def lspet(tmp_path: Path, need: Callable[[str], ModuleType]) -> Callable[..., Path]:
    def write(joints: np.ndarray, *names: str) -> Path:
        need("scipy.io").savemat(tmp_path / "joints.mat", {"joints": joints})
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in names:
            cv2.imwrite(str(tmp_path / "images" / name), np.zeros((8, 8, 3), np.uint8))
        return tmp_path

    return write


def lsp_joints(people: int = 40) -> np.ndarray:
    joints = np.ones((14, 3, people))
    joints[:, 0] = 10.0 * np.arange(14)[:, None]
    joints[:, 1] = 5.0
    return joints


def test_lspet_holds_out_what_training_does(lspet: Callable[..., Path]) -> None:
    from training.datasets.lspet import read_lspet as read_training

    joints = lsp_joints()
    joints[LSP14.index("left_shoulder"), 2, 29] = 0  # then the other diagonal is the torso
    folder = lspet(joints, "im00009.jpg", "im00010.jpg", "im00011.jpg", "im00030.jpg")
    people: People = read_lspet(folder)
    assert (people.metric, people.threshold, len(people.persons)) == ("PCK@0.2", 0.2, 2)
    theirs = [person for person in read_training(folder) if person.held_out]
    for ours, other in zip(people.persons, theirs, strict=True):
        region, expected = ours.region(1.25, (64, 64)), other.region((64, 64))
        assert region.center == expected.center
        assert region.size == pytest.approx(expected.size)
        np.testing.assert_array_equal(ours.keypoints, other.keypoints)
        np.testing.assert_array_equal(ours.present, other.present)
        assert ours.unit_px == pytest.approx(other.unit_px)
    # Left shoulder (9) to right hip (2), then right shoulder (8) to left hip (3).
    assert [person.unit_px for person in people.persons] == [70.0, 50.0]
    assert not people.persons[0].present[MPII16.index("pelvis")]


def test_lspet_needs_a_torso_and_a_picture(lspet: Callable[..., Path]) -> None:
    joints = lsp_joints(20)
    with pytest.raises(EdgePoseError, match="no held-out person"):
        read_lspet(lspet(joints))
    joints[[LSP14.index("right_shoulder"), LSP14.index("left_shoulder")], 2] = 0
    with pytest.raises(EdgePoseError, match="no held-out person with a torso"):
        read_lspet(lspet(joints, "im00010.jpg"))


def test_damaged_lspet(lspet: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(EdgePoseError, match="cannot be read"):
        read_lspet(tmp_path)
    with pytest.raises(EdgePoseError, match=r"found joints of shape \(3, 14, 2\), expected"):
        read_lspet(lspet(np.ones((3, 14, 2))))
    (tmp_path / "joints.mat").write_bytes(b"no matrix" * 40)
    with pytest.raises(EdgePoseError, match="not LSPET annotations"):
        read_lspet(tmp_path)
