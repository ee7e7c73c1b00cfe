"""MPII's release: the .mat file, alone or beside the files that say who is for validation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io

from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, load_dataset
from training.datasets.mpii import HOLD_OUT_EVERY
from training.datasets.mpii_release import find_release, read_release

EMPTY = np.zeros((0, 0))


def struct(*elements: dict[str, Any]) -> np.ndarray:
    """Return a MATLAB struct array (1, n); every element has the same fields."""
    names = list(elements[0])
    array = np.empty((1, len(elements)), dtype=[(name, object) for name in names])
    for i, element in enumerate(elements):
        for name in names:
            array[0, i][name] = element[name]
    return array


def points(offset: float, joints: range = range(16)) -> np.ndarray:
    return struct(
        *({"x": offset + 3.0 * j, "y": offset + 2.0 * j, "id": float(j), "is_visible": EMPTY}
          for j in joints)
    )  # fmt: skip


def rect(offset: float, joints: range = range(16), **changes: Any) -> dict[str, Any]:
    return {
        "x1": 10.0,
        "y1": 20.0,
        "x2": 40.0,
        "y2": 60.0,
        "annopoints": struct({"point": points(offset, joints)}),
        "scale": 1.5,
        "objpos": struct({"x": offset + 20.0, "y": offset + 15.0}),
        **changes,
    }


def picture(name: str, annorect: np.ndarray) -> dict[str, Any]:
    return {"image": struct({"name": name}), "annorect": annorect, "vididx": 1.0}


PICTURES = [
    # Two people and one of whom only the head box is known.
    picture("a.jpg", struct(rect(5), rect(50), rect(0, annopoints=EMPTY, scale=EMPTY))),
    picture("b.jpg", struct(rect(8, range(4)))),  # one person: a struct array of one element
    picture("test.jpg", struct({"scale": 1.0, "objpos": struct({"x": 1.0, "y": 1.0})})),
    picture("nobody.jpg", EMPTY),
    picture("c.jpg", struct(rect(9, range(7, 8)))),  # one joint: again one element
]
TRAIN = np.array([[1.0, 1.0, 0.0, 1.0, 1.0]])


def write_release(data: Path, *, place: str = "", pictures: Any = PICTURES) -> Path:
    folder = data / "mpii"
    (folder / "images").mkdir(parents=True)
    (folder / place).mkdir(exist_ok=True)
    release = struct(
        {"annolist": struct(*pictures), "img_train": TRAIN[:, : len(pictures)], "version": "12"}
    )
    file = folder / place / "mpii_human_pose_v1_u12_1.mat"
    scipy.io.savemat(file, {"RELEASE": release}, do_compression=True)
    for one in pictures:
        name = one["image"][0, 0]["name"]
        cv2.imwrite(str(folder / "images" / name), np.zeros((100, 100, 3), np.uint8))
    return data


def detections(folder: Path, *people: tuple[int, int]) -> None:
    index = np.array(people, np.float64).T
    values = {"RELEASE_img_index": index[:1], "RELEASE_person_index": index[1:]}
    scipy.io.savemat(folder / "detections.mat", values)


def test_the_release_is_read_as_its_owners_wrote_it(tmp_path: Path) -> None:
    release = find_release(write_release(tmp_path) / "mpii")
    assert release is not None
    found = read_release(release)
    assert [(a.name, a.picture, a.person) for a in found] == [
        ("a.jpg", 1, 1),
        ("a.jpg", 1, 2),
        ("b.jpg", 2, 1),
        ("c.jpg", 5, 1),
    ]
    first, _, third, fourth = found
    assert first.present.all()
    assert first.joints[15].tolist() == [5 + 45, 5 + 30]
    assert first.head_px == pytest.approx(0.6 * math.hypot(30, 40))
    assert first.position == (25, 20)
    assert third.present.tolist() == [True] * 4 + [False] * 12
    assert np.flatnonzero(fourth.present).tolist() == [MPII16.index("thorax")]


@pytest.mark.parametrize("place", ["", "mpii_human_pose_v1_u12_2", "annot"])
def test_the_archives_folder_may_stay(tmp_path: Path, place: str) -> None:
    assert len(load_dataset("mpii", write_release(tmp_path, place=place))) == 4


def test_tompsons_list_says_who_is_held_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_release(tmp_path)
    detections(data / "mpii", (1, 2), (5, 1))
    persons = load_dataset("mpii", data)
    # The first person of a.jpg is in a validation picture and not in the list: in neither part.
    assert [(p.image.name, p.held_out) for p in persons] == [
        ("a.jpg", True),
        ("b.jpg", False),
        ("c.jpg", True),
    ]
    person = persons[0]
    assert person.keypoints[0].tolist() == [50, 50]
    assert person.others.tolist() == [[5 + 3 * j, 5 + 2 * j] for j in range(16)]
    assert person.side == pytest.approx(250 * 1.5)
    assert person.center == pytest.approx((70, 65 + 15 * 1.5))
    assert "held out" not in caplog.text


def test_the_same_list_as_repositories_carry_it(tmp_path: Path) -> None:
    data = write_release(tmp_path)
    (data / "mpii" / "annot").mkdir()
    rows = [{"image": "a.jpg", "center": [70.0, 65.0], "scale": 1.5, "joints": []}]
    (data / "mpii" / "annot" / "valid.json").write_text(json.dumps(rows))
    persons = load_dataset("mpii", data)
    assert [(p.image.name, p.held_out) for p in persons] == [
        ("a.jpg", True),
        ("b.jpg", False),
        ("c.jpg", False),
    ]


def test_without_a_list_a_share_of_the_pictures_is_held_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [picture(f"{i}.jpg", struct(rect(5), rect(30))) for i in range(HOLD_OUT_EVERY + 1)]
    data = tmp_path
    folder = data / "mpii"
    (folder / "images").mkdir(parents=True)
    train = np.ones((1, len(pictures)))
    release = struct({"annolist": struct(*pictures), "img_train": train})
    scipy.io.savemat(folder / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    for one in range(len(pictures)):
        (folder / "images" / f"{one}.jpg").touch()
    persons = load_dataset("mpii", data)
    assert {p.image.name for p in persons if p.held_out} == {f"{HOLD_OUT_EVERY - 1}.jpg"}
    assert len(persons) == 2 * len(pictures)
    assert "put Tompson's detections.mat" in caplog.text


def test_a_release_with_one_picture(tmp_path: Path) -> None:
    data = write_release(tmp_path, pictures=PICTURES[1:2])
    (person,) = load_dataset("mpii", data)
    assert person.present.sum() == 4


def test_head_sizes_come_from_the_release_where_the_json_has_none(tmp_path: Path) -> None:
    data = write_release(tmp_path)
    entry = {
        "isValidation": 1.0,
        "img_paths": "b.jpg",
        "objpos": [28.0, 23.0],
        "joint_self": [[8.0, 8.0, 1.0]] * 16,
        "scale_provided": 1.5,
        "annolist_index": 2.0,
        "people_index": 1.0,
    }
    file = data / "mpii" / "mpii_annotations.json"
    file.write_text(json.dumps([entry, {**entry, "annolist_index": 99.0}]))
    known, unknown = load_dataset("mpii", data)
    assert known.unit_px == pytest.approx(0.6 * 50)
    assert math.isnan(unknown.unit_px)
    assert known.held_out


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("mpii_human_pose_v1_u12_1.mat", b"", "not MPII annotations"),
        ("detections.mat", b"junk" * 99, "not Tompson's MPII annotations"),
        ("valid.json", b"[{}]", "not MPII's validation persons: KeyError"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    data = write_release(tmp_path)
    (data / "mpii" / name).write_bytes(content)
    with pytest.raises(DatasetError, match=what) as error:
        load_dataset("mpii", data)
    assert "\n" not in str(error.value)


def test_another_struct_is_refused(tmp_path: Path) -> None:
    data = write_release(tmp_path)
    scipy.io.savemat(find_release(data / "mpii"), {"RELEASE": struct({"annolist": EMPTY})})
    with pytest.raises(DatasetError, match="not MPII annotations: AttributeError"):
        load_dataset("mpii", data)
