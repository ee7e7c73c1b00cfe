from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_pose.errors import UsageError
from edge_pose.skeleton import COCO17, MPII16
from training.datasets import DatasetError, load_dataset
from training.datasets.boxes import write_labels
from training.datasets.scenes import box_areas, joint_boxes, load_scenes, scene_hash
from training.teaching.corrections import Correction, write_corrections

NOBODY = {"_ArrayType_": "double", "_ArraySize_": [0, 0], "_ArrayData_": None}


def joints(x: float, y: float, missing: tuple[int, ...] = ()) -> list[list[float]]:
    points = [[x + 2.0 * i, y + 3.0 * i, 1.0] for i in range(16)]
    return [[0.0, 0.0, 0.0] if i in missing else p for i, p in enumerate(points)]


def entry(name: str, own: Any, others: Any, **more: Any) -> dict[str, Any]:
    return {
        "img_paths": name,
        "isValidation": 0.0,
        "objpos": [50.0, 50.0],
        "scale_provided": 0.4,
        "joint_self": own,
        "joint_others": others,
        **more,
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MPII with a picture of three people, one of one and a part-validation picture."""
    folder = tmp_path / "mpii"
    (folder / "images").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        cv2.imwrite(str(folder / "images" / name), np.full((120, 160, 3), 90, np.uint8))
    one, two, three = joints(10, 10), joints(60, 20, (0, 5)), joints(90, 30)
    validation = {"isValidation": 1.0, "head_size": 12.5}
    entries = [
        entry("a.jpg", one, [two, three]),
        entry("b.jpg", one, NOBODY),
        entry("a.jpg", two, [one, three]),
        entry("c.jpg", two, one),  # MATLAB's export: one other person is a flat list
        entry("c.jpg", one, two, **validation),
        entry("gone.jpg", one, NOBODY),
    ]
    (folder / "mpii_annotations.json").write_text(json.dumps(entries))
    return tmp_path


def test_mpii_pictures_have_everybody_once(data: Path) -> None:
    a, b, c = load_scenes("mpii", data)
    assert [len(scene.present) for scene in (a, b, c)] == [3, 1, 2]
    assert a.indices == (0, 2)
    assert a.keypoints[1, 3].tolist() == [66.0, 29.0]
    assert a.present[1].tolist() == [i not in (0, 5) for i in range(16)]
    assert not a.held_out
    assert np.isnan(a.unit_px).all()
    assert len(a.unlabelled.boxes) == 0


def test_one_validation_person_holds_the_whole_picture_out(data: Path) -> None:
    c = load_scenes("mpii", data)[2]
    assert c.held_out
    # The second entry is the validation person; the first entry's `other` is the same man.
    assert np.isnan(c.unit_px[0])
    assert c.unit_px[1] == 12.5


def test_formats_are_converted_by_name(data: Path) -> None:
    scene = load_scenes("mpii", data, "coco17")[0]
    assert scene.keypoints.shape == (3, 17, 2)
    assert not scene.present[:, COCO17.index("nose")].any()
    knee = COCO17.index("left_knee")
    original = load_scenes("mpii", data)[0]
    assert np.array_equal(
        scene.keypoints[:, knee], original.keypoints[:, MPII16.index("left_knee")]
    )


def test_lspet_says_nothing_of_what_is_far_from_the_person(lspet: Path) -> None:
    scenes = load_scenes("lspet", lspet)
    persons = load_dataset("lspet", lspet)
    assert [s.indices for s in scenes] == [(p.index,) for p in persons]
    assert [s.held_out for s in scenes] == [p.held_out for p in persons]
    scene = scenes[0]
    centre = scene.keypoints[0][scene.present[0]].mean(axis=0)

    def covered(x: float, y: float) -> bool:
        x1, y1, x2, y2 = scene.unlabelled.boxes.T
        return bool(((x1 < x) & (x < x2) & (y1 < y) & (y < y2)).any())

    assert not covered(*centre)
    assert all(covered(*(centre + 300 * np.array(d))) for d in ((1, 0), (-1, 0), (0, 1), (0, -1)))


def test_coco_keeps_its_areas_and_marks_crowds_and_unlabelled_people(tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    (folder / "train2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    cv2.imwrite(str(folder / "train2017" / "1.jpg"), np.full((50, 60, 3), 9, np.uint8))
    points = [v for i in range(17) for v in (10 + i, 5 + 2 * i, 2)]
    base = {"image_id": 1, "bbox": [5, 10, 20, 30], "area": 333.0, "iscrowd": 0}
    entries = [
        {**base, "id": 7, "keypoints": points},
        {**base, "id": 8, "keypoints": [0] * 51, "area": 44.0},
        {**base, "id": 9, "keypoints": [0] * 51, "iscrowd": 1},
    ]
    images = [{"id": 1, "file_name": "1.jpg"}]
    file = folder / "annotations" / "person_keypoints_train2017.json"
    file.write_text(json.dumps({"images": images, "annotations": entries}))
    (scene,) = load_scenes("coco", tmp_path, "coco17")
    assert not scene.held_out
    assert scene.indices == (7, 8)  # the crowd is nobody
    assert scene.present.all()
    assert scene.area_px2.tolist() == [333.0]
    assert scene.unlabelled.boxes.tolist() == [[4.5, 9.5, 24.5, 39.5]] * 2
    assert scene.unlabelled.crowd.tolist() == [False, True]
    assert scene.unlabelled.area_px2[0] == 44.0
    (twelve,) = load_scenes("coco", tmp_path)
    assert twelve.present.sum() == 12
    left = MPII16.index("left_ankle")
    assert twelve.keypoints[0, left].tolist() == scene.keypoints[0, 15].tolist()
    with pytest.raises(UsageError, match=r"corrections: .*not for whole pictures of coco"):
        load_scenes("coco", tmp_path, corrections=file)
    (folder / "train2017").rename(folder / "val2017")
    file = file.rename(folder / "annotations" / "person_keypoints_val2017.json")
    assert load_scenes("coco", tmp_path)[0].held_out
    del entries[0]["area"]
    file.write_text(json.dumps({"images": images, "annotations": entries}))
    with pytest.raises(DatasetError, match=r"coco: 1.jpg: damaged entry: KeyError\('area'\)"):
        load_scenes("coco", tmp_path)


def test_labelled_people_who_are_not_annotated_are_bystanders(data: Path, tmp_path: Path) -> None:
    a, b, c = load_scenes("mpii", data)
    assert a.labels is b.labels is c.labels is None
    assert a.unlabelled_in(160).shape == (0, 4)
    annotated = joint_boxes(a.keypoints, a.present, 0.06) / 2  # of a file of half the size
    stranger, doubt = [60.0, 2.0, 75.0, 20.0], [2.0, 40.0, 9.0, 55.0]
    around = [annotated[0].tolist(), stranger, annotated[2].tolist(), annotated[1].tolist()]
    file = tmp_path / "boxes.jsonl"
    rows = [
        {"dataset": "mpii", "image": name, "size": [80, 60], "boxes": around, "ignore": [doubt]}
        for name in ("a.jpg", "c.jpg")
    ]
    write_labels(file, {}, rows)
    a, b, c = load_scenes("mpii", data, labels=file)
    assert b.labels is c.labels is None  # not in the file; a picture of validation
    scaled = (np.array([stranger, doubt]) + 0.5) * 2 - 0.5
    assert a.unlabelled_in(160).tolist() == scaled.tolist()
    assert len(a.unlabelled.boxes) == 0
    assert scene_hash([a]) != scene_hash(load_scenes("mpii", data)[:1])


def correction(index: int, joint: str, action: str, old: tuple[float, float]) -> Correction:
    return Correction(index, joint, action, old, (33.0, 44.0), 1.0, 0.9)  # type: ignore[arg-type]


def test_mpii_is_corrected_and_nobody_appears_twice(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "corrections.jsonl"
    left_wrist, left_elbow = MPII16.index("left_wrist"), MPII16.index("left_elbow")
    wrist = (10.0 + 2 * left_wrist, 10.0 + 3 * left_wrist)
    elbow = (10.0 + 2 * left_elbow, 10.0 + 3 * left_elbow)
    everything = [
        correction(1, name, "drop", (10.0 + 2 * i, 10.0 + 3 * i))
        for i, name in enumerate(MPII16.keypoints)
    ]
    changes = [
        correction(0, "left_wrist", "replace", wrist),
        correction(0, "left_elbow", "drop", elbow),
    ]
    write_corrections(file, "mpii", [*changes, *everything], {})
    before = load_scenes("mpii", data)
    a, c = load_scenes("mpii", data, corrections=file)  # of b nothing is left
    # The other entry of the picture lists the same man with the joints that were wrong.
    assert len(a.present) == 3
    assert a.keypoints[0, left_wrist].tolist() == [33.0, 44.0]
    assert a.present[0].sum() == 15
    assert not a.present[0, left_elbow]
    assert np.array_equal(a.keypoints[1:], before[0].keypoints[1:])
    assert np.array_equal(c.keypoints, before[2].keypoints)


def test_lspet_is_corrected(lspet: Path, tmp_path: Path) -> None:
    first = load_dataset("lspet", lspet)[0]
    joint = MPII16.index("left_wrist")
    x, y = first.keypoints[joint].tolist()
    file = tmp_path / "corrections.jsonl"
    write_corrections(file, "lspet", [correction(0, "left_wrist", "drop", (x, y))], {})
    before, after = load_scenes("lspet", lspet)[0], load_scenes("lspet", lspet, corrections=file)[0]
    assert before.present[0, joint]
    assert not after.present[0, joint]
    assert after.present.sum() == before.present.sum() - 1


def test_boxes_and_areas() -> None:
    keypoints = np.array([[[10, 20], [30, 60], [500, 500]]] * 2, np.float32)
    present = np.array([[True, True, False], [False] * 3])
    boxes = joint_boxes(keypoints, present, 0.1)
    assert boxes.tolist() == [[6, 16, 34, 64], [0, 0, 0, 0]]
    assert box_areas(boxes).tolist() == pytest.approx([0.53 * 28 * 48, 0.53])


def test_the_hash_follows_the_annotations(data: Path) -> None:
    scenes = load_scenes("mpii", data)
    before = scene_hash(scenes)
    assert scene_hash(load_scenes("mpii", data)) == before
    scenes[1].keypoints[0, 0] += 1
    assert scene_hash(scenes) != before


@pytest.mark.parametrize("content", ["{", "[1]", '[{"img_paths": "a.jpg"}]'])
def test_damaged_annotations_are_named(data: Path, content: str) -> None:
    (data / "mpii" / "mpii_annotations.json").write_text(content)
    with pytest.raises(DatasetError, match=r"mpii_annotations\.json"):
        load_scenes("mpii", data)
