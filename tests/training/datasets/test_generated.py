from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.preprocess import apply_affine, region_affine
from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, load_dataset
from training.datasets.generated import draw_person, is_generated, write_generated


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    write_generated(folder, 40, 20, seed=5)
    return folder


def test_the_mpii_loader_reads_it(root: Path) -> None:
    persons = load_dataset("mpii", root)
    assert [p.held_out for p in persons] == [False] * 40 + [True] * 20
    assert all(p.image.is_file() for p in persons)
    assert all(np.isfinite(p.unit_px) and p.unit_px > 5 for p in persons)
    present = np.mean([p.present.mean() for p in persons])
    assert 0.88 < present < 0.99  # a chosen share is missing, the rest is not


def test_joints_lie_on_what_is_drawn() -> None:
    for index in range(20):
        rng = np.random.default_rng((1, index))
        image, entry = draw_person(rng, (320, 320))
        wrists = [entry["joint_self"][MPII16.index(f"{side}_wrist")] for side in ("right", "left")]
        ankles = [entry["joint_self"][MPII16.index(f"{side}_ankle")] for side in ("right", "left")]
        # Hands, feet and head have one colour: skin.
        ends = [image[round(y), round(x)] for x, y, seen in (*wrists, *ankles) if seen]
        assert len({tuple(color) for color in ends}) <= 2  # a hand may hide a foot, never skin
        assert entry["joint_missing"] == [int(not seen) for *_, seen in entry["joint_self"]]


def test_the_ground_truth_crop_holds_the_person(root: Path) -> None:
    for person in load_dataset("mpii", root):
        matrix = region_affine(person.region((256, 256)), (256, 256))
        inside = apply_affine(person.keypoints[person.present], matrix)
        assert (inside > 0).all()
        assert (inside < 256).all()
        assert np.ptp(inside, axis=0).max() > 100


def test_same_seed_same_files_other_seed_others(root: Path, tmp_path: Path) -> None:
    write_generated(tmp_path / "a", 40, 20, seed=5)
    assert digest(tmp_path / "a") == digest(root)
    write_generated(tmp_path / "b", 1, 0, seed=6)
    name = "mpii/images/generated_000000.jpg"
    assert digest(tmp_path / "b")[name] != digest(root)[name]


def test_more_persons_keep_the_first_ones(root: Path, tmp_path: Path) -> None:
    write_generated(tmp_path, 3, 0, seed=5)
    few = digest(tmp_path)
    assert (
        few["mpii/images/generated_000002.jpg"] == digest(root)["mpii/images/generated_000002.jpg"]
    )


def test_pictures_have_the_wanted_size(tmp_path: Path) -> None:
    write_generated(tmp_path, 1, 0, size=(200, 120))
    image = cv2.imread(str(tmp_path / "mpii" / "images" / "generated_000000.jpg"))
    assert image is not None
    assert image.shape == (120, 200, 3)


def test_left_and_right_are_told_apart_by_place() -> None:
    right, left = MPII16.index("right_shoulder"), MPII16.index("left_shoulder")
    for index in range(30):
        _, entry = draw_person(np.random.default_rng(index), (320, 320))
        joints = entry["joint_self"]
        if joints[right][2] and joints[left][2]:
            assert joints[right][0] < joints[left][0]  # they all face the camera


def test_another_data_set_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mpii").mkdir()
    file = tmp_path / "mpii" / "mpii_annotations.json"
    file.write_text(json.dumps([]))
    with pytest.raises(DatasetError, match="holds another data set"):
        write_generated(tmp_path, 1, 1)
    assert file.read_text() == "[]"
    assert not is_generated(tmp_path)


def test_generated_data_is_replaced(tmp_path: Path) -> None:
    write_generated(tmp_path, 2, 1)
    assert is_generated(tmp_path)
    write_generated(tmp_path, 1, 1)
    assert len(load_dataset("mpii", tmp_path)) == 2


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written: Not a directory"):
        write_generated(tmp_path / "file", 1, 1)
