"""Accuracy of person detectors, ours and peers', on pictures that ours never trains on."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edge_pose.lookup import lookup
from edge_pose.metrics.oks import Annotated, CocoResult, annotated_from_coco, evaluate_boxes
from edge_pose.types import FloatArray
from edge_pose.whole_picture import clip_boxes
from training.checkpoint import unpack_persons
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.boxes import Picture, box_iou, by_picture, joints_box
from training.datasets.coco import CORNER, CocoPicture, coco_pictures
from training.detection.detectors import Boxes, CenterDetector, Detector
from training.predictors import Network
from training.samples import read_image

Measure: TypeAlias = Callable[[Detector, str, Path], dict[str, Any]]

IOU = 0.5  # a box that overlaps the person's by this much and holds its centre is a hit
SCORE = 0.3  # what a device would take for a person


def evaluate(network: Network, dataset: str, data: Path) -> dict[str, Any]:
    """Measure a centre-point network of ours.

    Args:
        network: torch's or an artifact's.
        dataset: "coco", "mpii" or "lspet", see `evaluate_detector`.
        data: folder with the data sets.

    Returns:
        JSON-ready figures.
    """
    return {
        "model": network.name,
        "input_size": list(network.spec.size),
        **evaluate_detector(
            CenterDetector(network), dataset, data, network.trained_on.get(dataset, "")
        ),
    }


def evaluate_detector(
    detect: Detector, dataset: str, data: Path, trained_on: str = ""
) -> dict[str, Any]:
    """Measure any detector, in percent.

    - coco: COCO's AP and AR for boxes of the class person, on val where it is there, else on what
      `trained_on` (see checkpoint.pack_persons) does not name.
    - mpii: recall of the benchmark's validation persons; lspet: of the persons held out. Only some
      of the people in these pictures are annotated, so there is no precision.

    Raises:
        UsageError: the data set is another one.
        DatasetError: it is missing, damaged or has nobody to measure on.
        CheckpointError: `trained_on` is no set of persons.
    """
    coco = partial(_coco, seen=unpack_persons(trained_on))
    measures: dict[str, Measure] = {"coco": coco, "mpii": _recall, "lspet": _recall}
    measure = lookup(measures, dataset, "data set for detectors")
    return {"dataset": dataset, **measure(detect, dataset, data)}


def measure_boxes(detect: Detector, pictures: Sequence[Picture]) -> CocoResult:
    """Return COCO's figures against the boxes of pictures; what lies in ignored regions is free."""
    truth, found = [], []
    for picture in pictures:
        image = read_image(picture.image)
        boxes, ignore = picture.scaled(image.shape[1])
        truth.append(_annotated(boxes, ignore))
        found.append(detect(image))
    return evaluate_boxes(truth, found)


def _annotated(boxes: FloatArray, ignore: FloatArray) -> Annotated:
    every = np.concatenate([boxes, ignore])
    return Annotated(
        bbox_xyxy=every,
        area_px2=(every[:, 2:] - every[:, :2]).prod(axis=1),
        crowd=np.arange(len(every)) >= len(boxes),
        keypoints=np.zeros((len(every), 0, 2)),
        visible=np.zeros((len(every), 0), np.bool_),
    )


def _coco(detect: Detector, dataset: str, data: Path, *, seen: Set[int]) -> dict[str, Any]:
    root = data / dataset
    truth, found = [], []
    for picture in _unseen(root, seen):
        try:
            truth.append(annotated_from_coco(picture.entries))
        except (KeyError, ValueError) as error:
            raise DatasetError(f"{root}: {picture.image.name}: damaged entry: {error!r}") from None
        boxes, scores = detect(read_image(picture.image))
        found.append((boxes + CORNER, scores))
    result = asdict(evaluate_boxes(truth, found))
    counts = {"n_pictures": result.pop("n_pictures"), "n": result.pop("n_truth")}
    return {**{k: _percent(v) for k, v in result.items()}, **counts}


def _unseen(root: Path, seen: Set[int]) -> list[CocoPicture]:
    """Return the pictures to measure on."""
    pictures = coco_pictures(root)
    if not pictures:
        raise DatasetError(f"{root}: no picture of its annotations is there")
    held_out = [picture for picture in pictures if picture.held_out]
    # Nothing tells whether a picture without people was trained on.
    unseen = held_out or [p for p in pictures if not seen or p.indices]
    unseen = [picture for picture in unseen if not seen & set(picture.indices)]
    if not unseen:
        raise DatasetError(f"{root}: all of its pictures were trained on")
    return unseen


def _percent(value: float) -> float | None:
    return round(100 * value, 2) if np.isfinite(value) else None


def _recall(detect: Detector, dataset: str, data: Path) -> dict[str, Any]:
    persons = [person for person in load_dataset(dataset, data) if person.held_out]
    if not persons:
        raise DatasetError(f"{data / dataset}: nobody is held out for measuring")
    any_score, at_score, boxes = 0, 0, 0
    pictures = by_picture(persons)
    for image, people in pictures.items():
        picture = read_image(image)
        found = detect(picture)
        sure = found[0][found[1] >= SCORE], found[1][found[1] >= SCORE]
        size = (picture.shape[1], picture.shape[0])
        any_score += hits(found, people, size)
        at_score += hits(sure, people, size)
        boxes += len(sure[0])
    return {
        "recall": _percent(at_score / len(persons)),
        "score": SCORE,
        "recall_any_score": _percent(any_score / len(persons)),
        "boxes_per_picture": round(boxes / len(pictures), 2),
        "n": len(persons),
        "n_pictures": len(pictures),
    }


def hits(found: Boxes, people: Sequence[Person], size: tuple[int, int]) -> int:
    """Count the people with a box at IoU 0.5 around joints and centre; one box finds one person.

    Args:
        found: boxes, best score first.
        people: annotated in the picture.
        size: (w, h) px of the picture.
    """
    truth = clip_boxes(np.stack([joints_box(person) for person in people]), size)
    centers = (truth[:, :2] + truth[:, 2:]) / 2
    boxes = found[0]
    overlap = box_iou(boxes, truth)
    holds = (boxes[:, None, :2] <= centers) & (centers <= boxes[:, None, 2:])
    overlap[~holds.all(axis=2)] = 0
    count = 0
    for row in range(len(boxes)):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= IOU:
            overlap[:, best] = 0
            count += 1
    return count
