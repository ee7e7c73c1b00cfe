"""Boxes of people in pictures: annotations, label files, COCO."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.datasets import DatasetError, load_dataset
from training.datasets.boxes import (
    SHIPPED,
    annotated_pictures,
    as_boxes,
    box_iou,
    inside_share,
    joints_box,
    labelled_pictures,
    read_labels,
    uncovered,
    write_labels,
)


def entry(image: str, dataset: str = "mpii", **changes: Any) -> dict[str, Any]:
    values = {"size": [160, 160], "boxes": [[10, 20, 50, 99.5]], "ignore": []}
    return {"dataset": dataset, "image": image, **values, **changes}


def test_overlap_by_hand() -> None:
    a = as_boxes([[0, 0, 10, 10], [20, 20, 30, 40]])
    b = as_boxes([[5, 0, 15, 10], [0, 0, 10, 10], [50, 50, 60, 60]])
    assert box_iou(a, b) == pytest.approx(np.array([[1 / 3, 1, 0], [0, 0, 0]]))
    assert inside_share(b, a)[0] == pytest.approx([0.5, 0])
    assert box_iou(as_boxes([]), b).shape == (0, 3)


def test_joints_boxes_hold_the_joints(generated: Path) -> None:
    pictures = annotated_pictures("mpii", generated)
    persons = load_dataset("mpii", generated)
    assert len(pictures) == len(persons) == 32
    assert [p.held_out for p in pictures] == [p.held_out for p in persons]
    for picture, person in zip(pictures, persons, strict=True):
        assert picture.indices == (person.index,)
        points = person.keypoints[person.present]
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.06 * (high - low).max()
        assert picture.boxes[0] == pytest.approx([*(low - margin), *(high + margin)], abs=1e-3)
        assert (joints_box(person, 0.0) == [*low, *high]).all()


def test_labels_come_back(generated: Path, tmp_path: Path) -> None:
    for name in ("boxes.jsonl", "boxes.jsonl.gz"):
        file = tmp_path / name
        unsure = [[1.0, 2.0, 3.5, 4.0]]
        names = ["generated_000000.jpg", "generated_000003.jpg", "elsewhere.jpg"]
        write_labels(file, {"teacher": "t"}, [entry(n, ignore=unsure) for n in names])
        again = file.read_bytes()
        meta, entries = read_labels(file)
        write_labels(file, meta, entries.values())
        assert file.read_bytes() == again
        pictures = labelled_pictures("mpii", generated, file)
        assert [p.indices for p in pictures] == [(0,), (3,)]
        assert pictures[0].boxes.tolist() == [[10, 20, 50, 99.5]]
        assert pictures[0].ignore.tolist() == unsure
    assert sorted(p.name for p in tmp_path.iterdir()) == ["boxes.jsonl", "boxes.jsonl.gz"]


def test_validation_pictures_are_never_taken(generated: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.jsonl"
    persons = load_dataset("mpii", generated)
    write_labels(file, {}, [entry(person.image.name) for person in persons])
    pictures = labelled_pictures("mpii", generated, file)
    assert len(pictures) == 24
    assert not any(picture.held_out for picture in pictures)


def test_held_out_athletes_are_marked(lspet: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.jsonl"
    names = [f"im{i + 1:05d}.jpg" for i in range(40)]
    write_labels(file, {}, [entry(name, "lspet") for name in names])
    pictures = labelled_pictures("lspet", lspet, file)
    assert [p.indices[0] for p in pictures if p.held_out] == [9, 29]


def test_boxes_follow_the_size_of_the_file(generated: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.jsonl"
    write_labels(file, {}, [entry("generated_000000.jpg", boxes=[[-0.5, -0.5, 159.5, 39.5]])])
    (picture,) = labelled_pictures("mpii", generated, file)
    assert picture.scaled(160)[0] is picture.boxes
    assert picture.scaled(320)[0].tolist() == [[-0.5, -0.5, 319.5, 79.5]]
    assert picture.scaled(320)[1].shape == (0, 4)


def test_coco_has_its_own(coco: Path) -> None:
    (picture,) = annotated_pictures("coco", coco)
    assert picture.indices == (11, 13)  # the crowd is nobody
    assert picture.boxes.tolist() == [[4.5, 9.5, 44.5, 89.5]] * 2
    assert len(picture.ignore) == 1  # the crowd
    assert not picture.held_out
    folder = coco / "coco"
    (folder / "train2017").rename(folder / "val2017")
    file = folder / "annotations" / "person_keypoints_train2017.json"
    file.rename(file.with_name("person_keypoints_val2017.json"))
    assert annotated_pictures("coco", coco)[0].held_out


def test_an_annotated_person_takes_one_box() -> None:
    people = as_boxes([[0, 0, 10, 20], [30, 0, 34, 4]])
    whole, small_around = [0, 0, 11, 21], [25, 0, 45, 40]  # the second person: an arm of somebody
    double, stranger = [1, 0, 11, 18], [60, 0, 70, 20]
    boxes = as_boxes([double, whole, stranger, small_around])
    assert uncovered(boxes, as_boxes([]), people).tolist() == [double, stranger]
    ignore = as_boxes([[2, 2, 8, 9], [29.5, 0, 34, 4], [0, 0, 40, 40]])
    assert uncovered(as_boxes([]), ignore, people).tolist() == [[0, 0, 40, 40]]
    assert uncovered(boxes, ignore, as_boxes([])).shape == (7, 4)
    assert uncovered(as_boxes([]), as_boxes([]), people).shape == (0, 4)


def test_damaged_labels_are_one_line(generated: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.jsonl"
    with pytest.raises(DatasetError, match="not found"):
        read_labels(file)
    good = json.dumps({"schema": "edge_pose.boxes/1"})
    for text, message in (
        ("", "not a file of boxes"),
        ("no json", "not a file of boxes"),
        ("[]", "not a file of boxes"),
        (good + '\n{"image": "x"}', "not a file of boxes"),
        (good.replace("boxes/1", "boxes/9"), "found edge_pose.boxes/9, expected edge_pose.boxes/1"),
        (good, "none of the pictures"),
    ):
        file.write_text(text)
        with pytest.raises(DatasetError, match=message):
            labelled_pictures("mpii", generated, file)
    packed = tmp_path / "boxes.jsonl.gz"
    for raw in (b"no gzip", gzip.compress(b"long enough to be torn")[:-9]):
        packed.write_bytes(raw)
        with pytest.raises(DatasetError, match="not a file of boxes"):
            read_labels(packed)
    folder = tmp_path / "coco" / "annotations"
    folder.mkdir(parents=True)
    (folder / "person_keypoints_x.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match="not COCO keypoint annotations"):
        annotated_pictures("coco", tmp_path)


def test_the_shipped_labels_are_sound() -> None:
    meta, entries = read_labels(SHIPPED)
    assert len(meta["teacher_sha256"]) == 64
    assert SHIPPED.stat().st_size < 1_500_000
    assert {dataset for dataset, _ in entries} == {"mpii", "lspet"}
    for value in entries.values():
        limit = [*value["size"], *value["size"]]
        for box in value["boxes"]:
            assert len(box) == 4
            assert all(-0.5 <= v <= most - 0.5 for v, most in zip(box, limit, strict=True))
            assert box[0] < box[2]
            assert box[1] < box[3]
