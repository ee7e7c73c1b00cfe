"""Loaders against small data sets in the owners' layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_pose.errors import UsageError
from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, load_dataset
from training.datasets.base import torso_px

NECK, HEAD, LEFT_KNEE = (MPII16.index(n) for n in ("upper_neck", "head_top", "left_knee"))


def test_mpii_as_its_annotations_say(generated: Path) -> None:
    persons = load_dataset("mpii", generated)
    assert [p.held_out for p in persons] == [False] * 24 + [True] * 8
    entry = json.loads((generated / "mpii" / "mpii_annotations.json").read_text())[-1]
    person = persons[-1]
    assert person.unit_px == pytest.approx(entry["head_size"])
    assert person.present.tolist() == [m == 0 for m in entry["joint_missing"]]
    x, y = entry["objpos"]
    scale = entry["scale_provided"]
    # FACTS: side 200 * scale * 1.25, centre y + 15 * scale.
    assert person.side == pytest.approx(250 * scale)
    assert person.center == pytest.approx((x, y + 15 * scale))
    region = person.region((192, 256))
    assert region.size == pytest.approx((250 * scale, 250 * scale * 256 / 192))


def test_mpii_joints_at_zero_are_not_annotated(generated: Path, tmp_path: Path) -> None:
    source = generated / "mpii"
    (tmp_path / "mpii").mkdir()
    (tmp_path / "mpii" / "images").symlink_to(source / "images")
    entries = json.loads((source / "mpii_annotations.json").read_text())[:2]
    for entry in entries:
        entry.pop("joint_missing", None)
        entry["joint_self"] = [[10.0, 20.0, 1.0]] * 16
        entry["joint_self"][4] = [0.0, 0.0, 0.0]
    entries[0]["joint_others"] = [[[5.0, 6.0, 1.0]] * 16, [[0.0, 0.0, 0.0]] * 16]
    entries[1]["joint_others"] = {"_ArrayType_": "double", "_ArrayData_": None}
    (tmp_path / "mpii" / "mpii_annotations.json").write_text(json.dumps(entries))
    first, second = load_dataset("mpii", tmp_path)
    assert first.present.sum() == 15
    assert not first.present[4]
    assert first.others.tolist() == [[5.0, 6.0]] * 16
    assert second.others.shape == (0, 2)


def test_lspet_fourteen_joints_on_sixteen(lspet: Path) -> None:
    import scipy.io

    persons = load_dataset("lspet", lspet)
    assert [p.index for p in persons] == [i for i in range(40) if i not in (3, 20)]
    assert [p.index for p in persons if p.held_out] == [9, 29]
    joints = scipy.io.loadmat(lspet / "lspet" / "joints.mat")["joints"]
    first = persons[0]
    absent = [MPII16.index("pelvis"), MPII16.index("thorax"), LEFT_KNEE]
    assert (~first.present).nonzero()[0].tolist() == sorted(absent)
    # LSP: 0-5 legs as in MPII, 6-11 arms, 12 neck, 13 head top.
    assert np.allclose(first.keypoints[0], joints[0, :2, 0])
    assert np.allclose(first.keypoints[MPII16.index("right_wrist")], joints[6, :2, 0])
    assert np.allclose(first.keypoints[MPII16.index("left_wrist")], joints[11, :2, 0])
    assert np.allclose(first.keypoints[NECK], joints[12, :2, 0])
    assert np.allclose(first.keypoints[HEAD], joints[13, :2, 0])
    hip, shoulder = MPII16.index("right_hip"), MPII16.index("left_shoulder")
    expected = np.linalg.norm(first.keypoints[hip] - first.keypoints[shoulder])
    assert first.unit_px == pytest.approx(float(expected))


def test_coco_twelve_common_joints(coco: Path) -> None:
    (person,) = load_dataset("coco", coco)
    assert person.index == 11
    assert person.present.sum() == 12
    assert not person.present[[NECK, HEAD]].any()
    assert person.keypoints[MPII16.index("left_shoulder")].tolist() == [10 + 4 * 5, 20 + 3 * 5]
    assert person.keypoints[MPII16.index("right_ankle")].tolist() == [10 + 4 * 16, 20 + 3 * 16]
    assert person.center == (24.5, 49.5)  # COCO's boxes count from the pixels' corners
    assert person.side == pytest.approx(80 * 1.25)
    assert not person.held_out


def test_coco_holds_out_its_validation_part(coco: Path) -> None:
    folder = coco / "coco"
    (folder / "train2017").rename(folder / "val2017")
    annotations = folder / "annotations"
    train = annotations / "person_keypoints_train2017.json"
    train.rename(annotations / "person_keypoints_val2017.json")
    (person,) = load_dataset("coco", coco)
    assert person.held_out


def test_a_torso_needs_one_diagonal() -> None:
    keypoints = np.zeros((16, 2), np.float32)
    keypoints[MPII16.index("right_shoulder")] = (3, 4)
    present = np.zeros(16, bool)
    assert np.isnan(torso_px(keypoints, present))
    present[[MPII16.index("right_shoulder"), MPII16.index("left_hip")]] = True
    assert torso_px(keypoints, present) == 5.0


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("mpii/mpii_annotations.json", "not json", "not MPII annotations"),
        ("mpii/mpii_annotations.json", '[{"img_paths": "00000.jpg"}]', "joint_self"),
        ("lspet/joints.mat", "x", "not LSPET annotations"),
        ("coco/annotations/person_keypoints_train2017.json", "{}", "not COCO keypoint"),
    ],
)
def test_damaged_annotations_are_one_line(
    tmp_path: Path, file: str, content: str, what: str
) -> None:
    name = file.split("/")[0]
    (tmp_path / name / "images").mkdir(parents=True)
    (tmp_path / name / "images" / "00000.jpg").touch()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(content)
    with pytest.raises(DatasetError, match=what) as error:
        load_dataset(name, tmp_path)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_missing_data_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="mpii: not found, expected a folder"):
        load_dataset("mpii", tmp_path)
    (tmp_path / "mpii").mkdir()
    with pytest.raises(DatasetError, match=r"mpii_annotations\.json: not found"):
        load_dataset("mpii", tmp_path)
    with pytest.raises(UsageError, match="did you mean 'lspet'"):
        load_dataset("lspe", tmp_path)


def test_a_data_set_without_its_pictures_has_nobody_in_it(generated: Path, tmp_path: Path) -> None:
    (tmp_path / "mpii" / "images").mkdir(parents=True)
    text = (generated / "mpii" / "mpii_annotations.json").read_text()
    (tmp_path / "mpii" / "mpii_annotations.json").write_text(text)
    with pytest.raises(DatasetError, match="no annotated person whose picture is there"):
        load_dataset("mpii", tmp_path)
