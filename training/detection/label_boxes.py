"""Boxes for MPII and LSPET from a teacher, merged with what is annotated.

A teacher's box with a good score is a person, and so is a doubtful one where the annotated joints
of a person say the same. An annotated person that no such box covers keeps the box around its
joints where most of them are known (athletes upside down: teachers miss them), else it becomes a
region to ignore, as do the teacher's other doubtful boxes and boxes that hold only a part of an
uncovered person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from edge_pose.errors import UsageError
from edge_pose.types import FloatArray
from edge_pose.whole_picture import clip_boxes
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.boxes import (
    COVERED_IOU,
    INSIDE_SHARE,
    as_boxes,
    box_iou,
    by_picture,
    inside_share,
    joints_box,
    read_labels,
    write_labels,
)
from training.detection.detectors import RtmDet
from training.samples import read_image

# MPII shows scenes: its small people need more pixels. LSPET's pictures show one athlete each.
SIDES = {"mpii": (320, 640), "lspet": (320,)}
PERSON_SCORE = 0.4  # at least this is a person
DOUBT_SCORE = 0.15  # from here to there nobody knows
MIN_JOINTS = 10  # as many tell where all of the person is
WRITE_EVERY = 200


def label_boxes(
    teacher: Path, data: Path, out: Path, datasets: Sequence[str], progress: Progress
) -> None:
    """Write the label file of `training.datasets.boxes`; what it already knows is kept.

    It is written every 200 pictures, so that a stopped run can go on. Pictures with one of MPII's
    validation persons are left out.

    Args:
        teacher: ONNX file of training.detection.detectors.RtmDet.
        data: folder with the data sets.
        out: file to write; a name that ends in .gz is compressed.
        datasets: names, of "mpii" and "lspet".
        progress: shows one bar per data set.

    Raises:
        UsageError: a data set has boxes of its own, or is unknown.
        DatasetError: a data set is missing or damaged, or `out` was made in another way.
    """
    for name in datasets:
        if name not in SIDES:
            raise UsageError(
                f"data set '{name}': takes no teacher's boxes, only {', '.join(SIDES)}"
            )
    meta = _meta(teacher)
    entries = _known(out, meta)
    for name in datasets:
        detect = RtmDet(teacher, SIDES[name])
        pictures = by_picture(load_dataset(name, data))
        bar = progress.add_task(name, total=len(pictures))
        for image, people in pictures.items():
            validation = name == "mpii" and any(person.held_out for person in people)
            if not validation and (name, image.name) not in entries:
                entries[name, image.name] = _label(name, image, people, detect)
                if len(entries) % WRITE_EVERY == 0:
                    write_labels(out, meta, entries.values())
            progress.advance(bar)
    write_labels(out, meta, entries.values())


def _meta(teacher: Path) -> dict[str, Any]:
    if not teacher.is_file():
        raise UsageError(f"{teacher}: no such ONNX model")
    return {
        "teacher": teacher.name,
        "teacher_sha256": hashlib.sha256(teacher.read_bytes()).hexdigest(),
        "sides_px": {name: list(sides) for name, sides in SIDES.items()},
        "person_score": PERSON_SCORE,
        "doubt_score": DOUBT_SCORE,
    }


def _known(out: Path, meta: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    if not out.exists():
        return {}
    found, entries = read_labels(out)
    if found != meta:
        raise DatasetError(f"{out}: made by another teacher or in another way, choose another file")
    return entries


def _label(name: str, image: Path, people: Sequence[Person], detect: RtmDet) -> dict[str, Any]:
    picture = read_image(image)
    size = (picture.shape[1], picture.shape[0])
    found, scores = detect(picture)
    annotated = clip_boxes(np.stack([joints_box(person) for person in people]), size)
    whole = np.array([person.present.sum() >= MIN_JOINTS for person in people], np.bool_)
    boxes, ignore = merge(found, scores, annotated, whole)
    return {
        "dataset": name,
        "image": image.name,
        "size": size,
        "boxes": _rounded(boxes),
        "ignore": _rounded(ignore),
    }


def merge(
    found: FloatArray, scores: FloatArray, annotated: FloatArray, whole: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Return the boxes of people and the regions to ignore, see the module's docstring.

    Args:
        found: (M, 4) xyxy px, the teacher's boxes.
        scores: (M,) of them.
        annotated: (A, 4) boxes around joints.
        whole: (A,) bool, enough joints are known.
    """
    person = scores >= PERSON_SCORE
    doubt = ~person & (scores >= DOUBT_SCORE)
    overlap = box_iou(annotated, found)
    for row in overlap[~(overlap[:, person] >= COVERED_IOU).any(axis=1)]:
        agreeing = np.where(doubt, row, 0)
        if agreeing.max(initial=0) >= COVERED_IOU:
            person[agreeing.argmax()] = True
    sure, doubtful = found[person], found[doubt & ~person]
    covered = (overlap[:, person] >= COVERED_IOU).any(axis=1)
    own, vague = annotated[~covered & whole], annotated[~covered & ~whole]
    part = (inside_share(sure, annotated[~covered]) >= INSIDE_SHARE).any(axis=1)
    people = np.concatenate([sure[~part], own])
    # A weak box on a person that is known is the teacher's own double: background as any other.
    double = (box_iou(doubtful, people) >= COVERED_IOU) | (
        inside_share(doubtful, people) >= INSIDE_SHARE
    )
    unsure = np.concatenate([vague, sure[part], doubtful[~double.any(axis=1)]])
    return as_boxes(people), as_boxes(unsure)


def _rounded(boxes: FloatArray) -> list[list[float]]:
    return [[round(float(v), 1) for v in box] for box in boxes]
