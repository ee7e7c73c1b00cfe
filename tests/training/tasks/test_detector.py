"""The detector's task: what it trains on, that it learns, what it measures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.checkpoint import CheckpointInfo, unpack_persons
from training.datasets import DatasetError
from training.datasets.boxes import annotated_pictures, write_labels
from training.recipe import Recipe
from training.registry import get_model
from training.samples import Key
from training.tasks.detector import DetectorTask, build

NAME = "center_hourglass_s"


@pytest.fixture
def task(recipe: Callable[..., Recipe], generated: Path) -> Callable[..., DetectorTask]:
    """Return a function: the task of a recipe on drawn people, with changes."""

    def make(data: Path = generated, limit: int | None = None, **changes: Any) -> DetectorTask:
        values = {"detector": {"labels": "annotations"}, "model": NAME, **changes}
        return build(recipe(**values), get_model(NAME), data, limit)

    return make


def keys(count: int, side: int = 64) -> list[Key]:
    return [Key(1, 1, position, position, side) for position in range(count)]


def test_it_trains_on_training_pictures_only(task: Callable[..., DetectorTask]) -> None:
    detector = task()
    assert unpack_persons(detector.trained_on["mpii"]) == set(range(24))
    assert [len(indices) for indices, _ in detector.groups] == [24]
    assert len(detector.data_sha256) == 64
    fewer = task(limit=4)
    assert len(fewer.pictures) == 4
    assert fewer.data_sha256 != detector.data_sha256


def test_the_loss_falls_on_one_batch(task: Callable[..., DetectorTask]) -> None:
    torch.manual_seed(1)
    detector, model = task(), get_model(NAME).build().train()
    batch = detector.collate([detector.samples[key] for key in keys(4)])
    images, targets = batch
    assert images.shape == (4, 3, 64, 64)
    assert images.dtype == targets.dtype == torch.float32
    assert targets.shape == (4, 7, 16, 16)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = detector.loss(model, batch, sigma=1.5)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.5 * losses[0]


def test_athletes_held_out_are_measured(task: Callable[..., DetectorTask], lspet: Path) -> None:
    detector = task(data=lspet, datasets={"lspet": 1})
    assert len(detector.held_out) == 2
    assert 9 not in unpack_persons(detector.trained_on["lspet"])
    info = CheckpointInfo(NAME, "logits", (64, 64))
    figures = detector.measure(get_model(NAME).build().eval(), info)
    assert list(figures) == ["ap50", "ar50", "ap"]
    assert all(0 <= value <= 100 for value in figures.values())
    assert detector.measure(get_model(NAME).build().eval(), info, trained=True)


def test_nobody_held_out_no_figures(task: Callable[..., DetectorTask]) -> None:
    detector = task()
    info = CheckpointInfo(NAME, "logits", (64, 64))
    assert detector.measure(get_model(NAME).build().eval(), info) == {}


def test_coco_is_trained_on_with_its_own_boxes(
    task: Callable[..., DetectorTask], coco: Path
) -> None:
    file = coco / "coco" / "annotations" / "person_keypoints_train2017.json"
    values = json.loads(file.read_text())
    values["annotations"][1]["id"] = 900_100_000_001  # a crowd, as COCO numbers them
    file.write_text(json.dumps(values))
    detector = task(data=coco, datasets={"coco": 1}, detector={"labels": ""})
    assert [len(picture.boxes) for picture in detector.pictures] == [2]
    assert unpack_persons(detector.trained_on["coco"]) == {11, 13}


def test_labels_of_a_file(
    task: Callable[..., DetectorTask], generated: Path, tmp_path: Path
) -> None:
    file = tmp_path / "boxes.jsonl"
    pictures = annotated_pictures("mpii", generated)[:3]
    boxes = [[1, 2, 30, 40], [50, 60, 70, 90]]
    entries = [
        {"dataset": "mpii", "image": p.image.name, "size": [160, 160], "boxes": boxes, "ignore": []}
        for p in pictures
    ]
    write_labels(file, {}, entries)
    detector = task(detector={"labels": str(file)})
    assert [p.boxes.tolist() for p in detector.pictures] == [boxes] * 3
    with pytest.raises(DatasetError, match="none of the pictures"):
        task(detector={"labels": ""})  # the shipped ones know no drawn people
