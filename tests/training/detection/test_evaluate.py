"""Figures of detectors: perfect ones, blind ones, and those in between."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_pose.errors import UsageError
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo, pack_persons
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.boxes import Picture, annotated_pictures, as_boxes, joints_box
from training.detection.detectors import Boxes
from training.detection.evaluate import evaluate, evaluate_detector, hits, measure_boxes
from training.predictors import NetworkPredictor
from training.registry import get_model
from training.samples import read_image

NOBODY: Boxes = (as_boxes([]), np.zeros(0, np.float32))


@pytest.fixture
def areas(coco: Path) -> Path:
    """The same data folder, with the areas that COCO's figures need."""
    file = coco / "coco" / "annotations" / "person_keypoints_train2017.json"
    values = json.loads(file.read_text())
    for entry in values["annotations"]:
        entry["area"] = 2500.0
    file.write_text(json.dumps(values))
    return coco


class Oracle:
    """Knows the boxes of pictures by what they show; moves them by so many px."""

    def __init__(self, pictures: list[Picture], shift: float = 0.0, score: float = 0.9) -> None:
        self.answers = {read_image(p.image).tobytes(): p.boxes + shift for p in pictures}
        self.score = score

    def __call__(self, image: Image) -> Boxes:
        boxes = self.answers[image.tobytes()].astype(np.float32)
        return boxes, np.full(len(boxes), self.score, np.float32)


def test_perfect_boxes_have_every_figure_at_hundred(areas: Path, generated: Path) -> None:
    pictures = annotated_pictures("coco", areas)
    result = evaluate_detector(Oracle(pictures), "coco", areas)
    assert (result["ap"], result["ap50"], result["n"], result["n_pictures"]) == (100, 100, 2, 1)
    assert result["ap_small"] is None  # nobody small: no figure, and JSON has no NaN
    json.dumps(result, allow_nan=False)
    pictures = annotated_pictures("mpii", generated)
    result = evaluate_detector(Oracle(pictures), "mpii", generated)
    assert (result["recall"], result["recall_any_score"], result["n"]) == (100, 100, 8)
    assert result["boxes_per_picture"] == 1
    assert measure_boxes(Oracle(pictures), pictures).ap == pytest.approx(1)


def test_blind_and_timid_detectors(areas: Path, generated: Path) -> None:
    assert evaluate_detector(lambda _: NOBODY, "coco", areas)["ap"] == 0
    assert evaluate_detector(lambda _: NOBODY, "mpii", generated)["recall_any_score"] == 0
    timid = Oracle(annotated_pictures("mpii", generated), score=0.2)
    result = evaluate_detector(timid, "mpii", generated)
    assert (result["recall"], result["recall_any_score"]) == (0, 100)


def test_loose_boxes_count_at_loose_thresholds(areas: Path) -> None:
    # 40×80 px moved by 5 px on both axes: IoU 0.695.
    result = evaluate_detector(Oracle(annotated_pictures("coco", areas), 5), "coco", areas)
    assert result["ap50"] == 100
    assert result["ap75"] == 0
    assert result["ap"] == pytest.approx(40)  # at 0.5, 0.55, 0.6 and 0.65 of ten


def test_coco_is_measured_on_val_or_on_what_training_did_not_see(areas: Path) -> None:
    folder = areas / "coco"
    train = folder / "annotations" / "person_keypoints_train2017.json"
    values = json.loads(train.read_text())
    for number in (2, 3):  # of number 3 nothing is annotated
        shutil.copy(folder / "train2017" / "1.jpg", folder / "train2017" / f"{number}.jpg")
    values["images"] = [{"id": i, "file_name": f"{i}.jpg"} for i in (1, 2, 3)]
    train.write_text(json.dumps(values))

    def pictures(trained_on: str) -> Any:
        return evaluate_detector(lambda _: NOBODY, "coco", areas, trained_on)["n_pictures"]

    assert pictures("") == 3
    assert pictures(pack_persons([14])) == 1  # number 3 may have been trained on
    with pytest.raises(DatasetError, match="all of its pictures were trained on"):
        pictures(pack_persons([13, 14]))
    entry = get_model("center_hourglass_s")
    info = CheckpointInfo(
        entry.name, "logits", (64, 64), trained_on={"coco": pack_persons([11, 13])}
    )
    assert evaluate(NetworkPredictor(entry.build(), info), "coco", areas)["n_pictures"] == 1
    shutil.copytree(folder / "train2017", folder / "val2017")
    val = folder / "annotations" / "person_keypoints_val2017.json"
    val.write_text(json.dumps({"images": values["images"][2:], "annotations": []}))
    assert pictures(pack_persons([13, 14])) == 1


def test_nothing_is_wrong_in_an_ignored_region(coco: Path) -> None:
    (picture,) = annotated_pictures("coco", coco)
    known, unsure = picture.boxes[:1], as_boxes([[50, 50, 90, 90]])
    truth = Picture("coco", (), picture.image, None, known, unsure, held_out=True)

    def detect(image: Image) -> Boxes:
        boxes = np.concatenate([as_boxes([[55, 55, 80, 85]]), known])
        return boxes, np.array([0.9, 0.8], np.float32)

    assert measure_boxes(detect, [truth]).ap == pytest.approx(1)
    bare = Picture("coco", (), picture.image, None, known, as_boxes([]), held_out=True)
    assert measure_boxes(detect, [bare]).ap == pytest.approx(0.5)


def test_one_box_finds_one_person(generated: Path) -> None:
    person: Person = load_dataset("mpii", generated)[0]
    box = joints_box(person).clip(-0.5, 159.5)[None]
    one = np.ones(1, np.float32)
    assert hits((box, one), [person, person], (160, 160)) == 1
    assert hits((np.repeat(box, 2, axis=0), np.ones(2, np.float32)), [person], (160, 160)) == 1
    away = box + np.array([0, 0.55 * (box[0, 3] - box[0, 1])] * 2, np.float32)
    assert hits((away, one), [person], (160, 160)) == 0


def test_a_network_is_measured(generated: Path) -> None:
    entry = get_model("center_hourglass_s")
    torch.manual_seed(1)
    info = CheckpointInfo(entry.name, "logits", (64, 64))
    result = evaluate(NetworkPredictor(entry.build(), info), "mpii", generated)
    assert (result["model"], result["input_size"], result["dataset"]) == (
        "center_hourglass_s",
        [64, 64],
        "mpii",
    )
    assert result["n"] == 8
    json.dumps(result, allow_nan=False)


def test_data_sets_that_say_nothing(generated: Path, lspet: Path, coco: Path) -> None:
    with pytest.raises(DatasetError, match=r"1.jpg: damaged entry: KeyError\('area'\)"):
        evaluate_detector(lambda _: NOBODY, "coco", coco)
    with pytest.raises(UsageError, match="data set for detectors 'flic': unknown"):
        evaluate_detector(lambda _: NOBODY, "flic", generated)
    assert evaluate_detector(lambda _: NOBODY, "lspet", lspet)["n"] == 2
    (coco / "coco" / "train2017" / "1.jpg").unlink()
    with pytest.raises(DatasetError, match="no picture of its annotations"):
        evaluate_detector(lambda _: NOBODY, "coco", coco)
