"""LSP and LSP-Extended in their owners' layouts, which order the same axes differently."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, load_dataset
from training.datasets.lsp import TRAINING_PICTURES, read_lsp


def write_lsp(data: Path, joints: np.ndarray, pictures: range) -> Path:
    folder = data / "lsp"
    (folder / "images").mkdir(parents=True)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints}, do_compression=True)
    for index in pictures:
        picture = np.full((40, 30, 3), index % 256, np.uint8)
        cv2.imwrite(str(folder / "images" / f"im{index + 1:04d}.jpg"), picture)
    return data


@pytest.fixture
def joints() -> np.ndarray:
    """Three more people than there are training pictures; every other joint is hidden."""
    rng = np.random.default_rng(3)
    values = rng.uniform(2, 28, (3, 14, TRAINING_PICTURES + 3))
    values[2] = np.arange(14)[:, None] % 2
    return values


def test_the_first_thousand_are_for_training(joints: np.ndarray, tmp_path: Path) -> None:
    data = write_lsp(tmp_path, joints, range(998, 1003))
    persons = load_dataset("lsp", data)
    assert [person.index for person in persons] == [998, 999, 1000, 1001, 1002]
    assert [person.held_out for person in persons] == [False, False, True, True, True]
    assert persons[0].image.name == "im0999.jpg"
    assert len(read_lsp(data / "lsp")) == 1003  # the others have no picture


def test_hidden_joints_are_annotated_and_fourteen_become_sixteen(
    joints: np.ndarray, tmp_path: Path
) -> None:
    joints[:2, 4, 1000] = 0  # the left knee of the first test person is not annotated
    data = write_lsp(tmp_path, joints, range(1000, 1002))
    person, whole = load_dataset("lsp", data)
    absent = {MPII16.keypoints[i] for i in np.flatnonzero(~whole.present)}
    assert absent == {"pelvis", "thorax"}
    assert person.present.sum() == 13
    for name, column in (("right_ankle", 0), ("right_wrist", 6), ("left_wrist", 11)):
        expected = joints[:2, column, 1000]
        assert person.keypoints[MPII16.index(name)] == pytest.approx(expected, abs=1e-4)
    assert person.keypoints[MPII16.index("head_top")] == pytest.approx(joints[:2, 13, 1000])
    # The torso: left shoulder (9) to right hip (2).
    torso = np.linalg.norm(joints[:2, 9, 1000] - joints[:2, 2, 1000])
    assert person.unit_px == pytest.approx(float(torso), rel=1e-5)


def test_one_person_keeps_its_axes(joints: np.ndarray, tmp_path: Path) -> None:
    data = write_lsp(tmp_path, joints[:, :, :1], range(1))
    assert len(load_dataset("lsp", data)) == 1


def test_the_other_data_sets_axes_are_refused(joints: np.ndarray, tmp_path: Path) -> None:
    data = write_lsp(tmp_path, joints.transpose(1, 0, 2), range(1))
    with pytest.raises(DatasetError, match=r"found joints of shape \(14, 3, 1003\)") as error:
        load_dataset("lsp", data)
    assert "\n" not in str(error.value)


def test_damaged_and_foreign_files_are_one_line(joints: np.ndarray, tmp_path: Path) -> None:
    file = write_lsp(tmp_path, joints, range(1)) / "lsp" / "joints.mat"
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"<html>not found</html>" * 40):
        file.write_bytes(content)
        with pytest.raises(DatasetError, match=r"joints\.mat: not LSP annotations") as error:
            load_dataset("lsp", tmp_path)
        assert "\n" not in str(error.value)
    scipy.io.savemat(file, {"other": np.zeros(3)})
    with pytest.raises(DatasetError, match="not LSP annotations: KeyError"):
        load_dataset("lsp", tmp_path)


def test_pictures_that_are_not_there_are_counted(
    joints: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_lsp(tmp_path, joints[:, :, :10], range(4))
    assert len(load_dataset("lsp", data)) == 4
    assert "6 of 10 persons left out: no picture" in caplog.text
