"""FLIC as its owners write it: a 1×N struct array `examples`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io

from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, load_dataset

FIELDS = (
    "poselet_hit_idx", "moviename", "coords", "filepath", "imgdims", "currframe", "torsobox",
    "isbad", "isunchecked", "istrain", "istest",
)  # fmt: skip
# 0-based columns of the owners' lookupPart that carry annotations.
ANNOTATED = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)


def example(number: int, *, train: bool, test: bool, **changes: Any) -> dict[str, Any]:
    coords = np.full((2, 29), np.nan)
    for column in ANNOTATED:
        coords[:, column] = 40 + 5 * column + number, 30 + 7 * column
    return {
        "poselet_hit_idx": np.array([[1.0, 2.0]]),
        "moviename": "a-movie",
        "coords": coords,
        "filepath": f"a-movie-{number:08d}.jpg",
        "imgdims": np.array([[480.0, 720.0, 3.0]]),
        "currframe": float(number),
        "torsobox": np.array([[60.0, 30.0, 160.0, 150.0]]),
        "isbad": np.zeros((0, 0)),
        "isunchecked": np.zeros((0, 0)),
        "istrain": np.array([[train]]),
        "istest": np.array([[test]]),
        **changes,
    }


def write_flic(data: Path, examples: list[dict[str, Any]]) -> Path:
    array = np.empty((1, len(examples)), dtype=[(name, object) for name in FIELDS])
    for i, one in enumerate(examples):
        for name in FIELDS:
            array[0, i][name] = one[name]
    folder = data / "flic"
    (folder / "images").mkdir(parents=True)
    scipy.io.savemat(folder / "examples.mat", {"examples": array}, do_compression=True)
    for one in examples:
        picture = np.full((200, 240, 3), 90, np.uint8)
        cv2.imwrite(str(folder / "images" / one["filepath"]), picture)
    return data


def test_eight_joints_by_name_and_the_owners_split(tmp_path: Path) -> None:
    examples = [
        example(0, train=True, test=False),
        example(1, train=False, test=False),  # FLIC-full has frames that are in neither part
        example(2, train=False, test=True),
    ]
    persons = load_dataset("flic", write_flic(tmp_path, examples))
    assert [(p.index, p.held_out) for p in persons] == [(0, False), (2, True)]
    person = persons[0]
    assert person.present.sum() == 8
    at = {name: person.keypoints[MPII16.index(name)].tolist() for name in MPII16.keypoints}
    assert at["left_shoulder"] == [40, 30]
    assert at["left_wrist"] == [50, 44]
    assert at["right_shoulder"] == [55, 51]
    assert at["left_hip"] == [70, 72]
    assert at["right_hip"] == [85, 93]
    assert not person.present[MPII16.index("head_top")]
    assert person.unit_px == pytest.approx(np.hypot(85 - 40, 93 - 30))


def test_the_crop_holds_face_and_torso_box(tmp_path: Path) -> None:
    (person,) = load_dataset("flic", write_flic(tmp_path, [example(0, train=True, test=False)]))
    low = np.array(person.center) - person.side / 2
    high = np.array(person.center) + person.side / 2
    nose = (40 + 5 * 16, 30 + 7 * 16)
    for point in ((60, 30), (160, 150), nose, (40, 30)):
        assert (low < point).all()
        assert (high > point).all()


def test_joints_that_are_nan_are_not_annotated(tmp_path: Path) -> None:
    coords = example(0, train=True, test=False)["coords"]
    coords[:, [6, 9, 16]] = np.nan  # both hips and the nose
    one = example(0, train=True, test=False, coords=coords)
    (person,) = load_dataset("flic", write_flic(tmp_path, [one]))
    assert person.present.sum() == 6
    assert np.isnan(person.unit_px)
    assert np.isfinite(person.keypoints).all()
    assert np.isfinite(person.side)


def test_someone_without_joints_is_left_out(tmp_path: Path) -> None:
    nobody = example(0, train=True, test=False, coords=np.full((2, 29), np.nan))
    data = write_flic(tmp_path, [nobody, example(1, train=True, test=False)])
    assert [person.index for person in load_dataset("flic", data)] == [1]


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    data = write_flic(tmp_path, [example(0, train=True, test=False)])
    file = data / "flic" / "examples.mat"
    scipy.io.savemat(file, {"examples": np.zeros((1, 3))})
    with pytest.raises(DatasetError, match="not FLIC annotations: AttributeError"):
        load_dataset("flic", data)
    file.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DatasetError, match="not FLIC annotations") as error:
        load_dataset("flic", data)
    assert "\n" not in str(error.value)
    file.unlink()
    with pytest.raises(DatasetError, match=r"examples\.mat: not found, expected FLIC's layout"):
        load_dataset("flic", data)
