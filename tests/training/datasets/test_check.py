"""What `check` says about good, damaged and incomplete folders."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from training.datasets import DatasetError
from training.datasets.check import QUICK_PICTURES, check, find_datasets, picture_size
from training.datasets.generated import write_generated


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    write_generated(tmp_path / "data", 6, 3, size=(120, 100))
    return tmp_path / "data"


def images(data: Path) -> list[Path]:
    return sorted((data / "mpii" / "images").iterdir())


def test_a_good_folder_is_counted_and_shown(drawn: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    (report,) = check(drawn, out=tmp_path / "out", people=4, progress=lambda *at: seen.append(at))
    assert (report.dataset, report.folder, report.error) == ("mpii", drawn / "mpii", "")
    assert (report.pictures, report.missing, report.decoded, report.damaged) == (9, 0, 9, ())
    assert (report.persons_train, report.persons_held_out) == (6, 3)
    assert 13 < report.joints_per_person <= 16
    assert report.outside == ()
    assert report.ok
    assert seen == [(i + 1, 9) for i in range(9)]
    assert report.contact_sheet == tmp_path / "out" / "mpii.png"
    sheet = cv2.imread(str(report.contact_sheet))
    assert sheet is not None
    assert (sheet != 255).any(axis=2).mean() > 0.5  # mostly people


def test_one_data_set_or_the_folder_around_it(drawn: Path, lspet: Path) -> None:
    assert drawn == lspet  # both fixtures use one folder
    assert [r.dataset for r in check(drawn)] == ["lspet", "mpii"]
    assert [r.dataset for r in check(drawn / "mpii")] == ["mpii"]


def test_damaged_pictures_are_named_and_the_others_still_counted(drawn: Path) -> None:
    empty, cut, text, _, gone, *_ = images(drawn)
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-200])
    text.write_text("<html>404</html>")
    gone.unlink()
    (report,) = check(drawn)
    assert [line.rsplit(": ", 1) for line in report.damaged] == [
        [str(empty), "is empty"],
        [str(cut), "is cut off, download it again"],
        [str(text), "is not a picture that OpenCV can decode"],
    ]
    assert (report.pictures, report.missing, report.decoded) == (8, 1, 8)
    assert not report.ok


def test_a_damaged_png_is_found_too(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    cv2.imwrite(str(whole), np.random.default_rng(1).integers(0, 255, (30, 20, 3), np.uint8))
    assert picture_size(whole) == (20, 30)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:600])
    assert picture_size(tmp_path / "cut.png") == "is not a picture that OpenCV can decode"
    assert picture_size(tmp_path / "none.png") == "cannot be read: No such file or directory"


def test_a_damaged_data_set_does_not_hide_the_others(drawn: Path, coco: Path) -> None:
    (drawn / "mpii" / "mpii_annotations.json").write_text("[")
    coco_report, mpii = check(drawn)
    assert (coco_report.dataset, coco_report.error, coco_report.missing) == ("coco", "", 1)
    assert "not MPII annotations" in mpii.error
    assert not mpii.ok


def test_joints_outside_of_the_picture_are_named(drawn: Path) -> None:
    file = drawn / "mpii" / "mpii_annotations.json"
    entries = json.loads(file.read_text())
    entries[2]["joint_self"][15] = [130.0, 50.0, 1.0]
    entries[2]["joint_missing"][15] = 0
    entries[3]["joint_self"][15] = [120.0, 100.0, 1.0]  # the last px, counted from 1
    entries[3]["joint_missing"][15] = 0
    file.write_text(json.dumps(entries))
    (report,) = check(drawn)
    assert report.outside == (
        "person 2: left_wrist at (130, 50), generated_000002.jpg has 120×100 px",
    )
    assert report.ok


def test_a_quick_check_looks_at_some(tmp_path: Path) -> None:
    write_generated(tmp_path, QUICK_PICTURES + 20, 0, size=(16, 16))
    (report,) = check(tmp_path, quick=True)
    assert (report.pictures, report.decoded) == (QUICK_PICTURES + 20, QUICK_PICTURES)


def test_lsp_and_lspet_are_told_apart_whatever_the_folder_is_called(tmp_path: Path) -> None:
    for name, shape in (("lsp_dataset", (3, 14, 2)), ("hr-lspet", (14, 3, 2))):
        (tmp_path / name).mkdir()
        scipy.io.savemat(tmp_path / name / "joints.mat", {"joints": np.ones(shape)})
    found = find_datasets(tmp_path)
    assert found == [("lspet", tmp_path / "hr-lspet"), ("lsp", tmp_path / "lsp_dataset")]
    # No pictures: the data set is there, and the report says what is missing.
    assert all("images: not found" in report.error for report in check(tmp_path))


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set in it, expected mpii/, lsp/"):
        check(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        check(tmp_path / "none")
    (tmp_path / "flic").mkdir()
    (report,) = check(tmp_path)
    assert "examples.mat: not found" in report.error
