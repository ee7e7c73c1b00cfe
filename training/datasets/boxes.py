"""Boxes around people, picture by picture: what a detector learns from and is measured on.

MPII and LSPET annotate joints of some people, not boxes of all. Their boxes come from a file that
`training.detection.label_boxes` wrote with a teacher; people in COCO have boxes of their own.

The file is JSON lines, gzip'd where its name ends in .gz. The first line is an object with the
schema, the teacher's name and hash and the thresholds; then one object per picture:
`{"dataset", "image", "size": [w, h], "boxes": [[x1, y1, x2, y2], …], "ignore": […]}` in px of a
picture of that size, pixel centres at whole numbers.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edge_pose.types import FloatArray
from training.datasets import load_dataset
from training.datasets.base import DatasetError, Person, require
from training.datasets.coco import CocoPicture, coco_pictures

SCHEMA = "edge_pose.boxes/1"
SHIPPED = Path(__file__).parent.parent / "labels" / "people_boxes.jsonl.gz"
JOINTS_PADDING = 0.06  # of the longer side: joints end before hands, feet and hair do
COVERED_IOU = 0.4  # between a labelled box and the joints' box of an annotated person
INSIDE_SHARE = 0.8  # of a box lies inside another one

Entries: TypeAlias = dict[tuple[str, str], dict[str, Any]]
"""Of a label file, by data set and the picture's file name."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and the people in it.

    Attributes:
        dataset: "mpii", "lspet" or "coco".
        indices: annotation indices of its annotated people, as Person.index; of no crowds.
        image: file.
        size: (w, h) px that the boxes refer to; None means the file's own. A copy of the data set
            at another resolution works, too.
        boxes: (M, 4) float32 xyxy px, the people.
        ignore: (I, 4) float32 xyxy px, where nobody knows.
        held_out: for measuring only.
    """

    dataset: str
    indices: tuple[int, ...]
    image: Path
    size: tuple[int, int] | None
    boxes: FloatArray
    ignore: FloatArray
    held_out: bool

    def scaled(self, width: int) -> tuple[FloatArray, FloatArray]:
        """Return boxes and ignore regions for a file that is `width` px wide."""
        factor = width / self.size[0] if self.size else 1.0
        if factor == 1:
            return self.boxes, self.ignore
        boxes, ignore = (self.boxes + 0.5) * factor - 0.5, (self.ignore + 0.5) * factor - 0.5
        return boxes.astype(np.float32), ignore.astype(np.float32)


def as_boxes(values: object) -> FloatArray:
    """Return (M, 4) float32 of a list of four numbers each, which may be empty."""
    return np.asarray(values, np.float32).reshape(-1, 4)


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the (M, N) intersection over union of (M, 4) and (N, 4) xyxy boxes."""
    shared = intersection(a, b)
    union = _area(a)[:, None] + _area(b)[None] - shared
    iou: FloatArray = (shared / np.maximum(union, 1e-9)).astype(np.float32)
    return iou


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the (M, N) shared areas of (M, 4) and (N, 4) xyxy boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: FloatArray = np.maximum(high - low, 0).prod(axis=2)
    return shared


def inside_share(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return (M, N): the share of box a[i]'s area that lies in box b[j]."""
    own = np.maximum(_area(a)[:, None], 1e-9)
    share: FloatArray = (intersection(a, b) / own).astype(np.float32)
    return share


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return area


def joints_box(person: Person, padding: float = JOINTS_PADDING) -> FloatArray:
    """Return the (4,) box around the annotated joints, `padding` of its longer side on each."""
    points = person.keypoints[person.present]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = padding * max(float((high - low).max()), 1.0)
    return np.concatenate([low - margin, high + margin]).astype(np.float32)


def by_picture(persons: Iterable[Person]) -> dict[Path, list[Person]]:
    """Group persons by their picture, in order of appearance."""
    groups: dict[Path, list[Person]] = {}
    for person in persons:
        groups.setdefault(person.image, []).append(person)
    return groups


def annotated_pictures(dataset: str, data: Path) -> list[Picture]:
    """Return every picture with the joints' boxes of its annotated people, and nobody else's.

    COCO has boxes of its own; its crowds are regions to ignore.
    """
    if dataset == "coco":
        return [_coco_picture(picture) for picture in coco_pictures(data / "coco")]
    groups = by_picture(load_dataset(dataset, data))
    return [
        _picture(people, None, np.stack([joints_box(p) for p in people]), as_boxes([]))
        for people in groups.values()
    ]


def labelled_pictures(dataset: str, data: Path, labels: Path = SHIPPED) -> list[Picture]:
    """Return the pictures that are there and in the label file.

    A picture with one of MPII's validation persons is never among them, whatever the file says.

    Raises:
        DatasetError: the file is missing or damaged, or it knows none of the pictures.
    """
    _, known = read_labels(labels)
    groups = by_picture(load_dataset(dataset, data)).values()
    pictures = [p for p in (labelled_picture(people, known) for people in groups) if p is not None]
    if not pictures:
        raise DatasetError(f"{labels}: none of the pictures of {data / dataset} is in it")
    return pictures


def labelled_picture(people: Sequence[Person], known: Entries) -> Picture | None:
    """Return what a label file says of a picture with `people`; None: nothing, or of validation."""
    first = people[0]
    entry = known.get((first.dataset, first.image.name))
    if entry is None or (first.dataset == "mpii" and any(p.held_out for p in people)):
        return None
    width, height = entry["size"]
    boxes, ignore = as_boxes(entry["boxes"]), as_boxes(entry["ignore"])
    return _picture(people, (int(width), int(height)), boxes, ignore)


def uncovered(boxes: FloatArray, ignore: FloatArray, people: FloatArray) -> FloatArray:
    """Return the labelled boxes and regions in which somebody may be who is not annotated.

    An annotated person takes one box, the one that agrees best: what holds most of the joints' box
    or overlaps it well. A region is his where it does not reach far beyond him.

    Args:
        boxes: (M, 4) xyxy px, people of a label file.
        ignore: (I, 4) xyxy px, its regions where nobody knows.
        people: (P, 4) xyxy px, joints' boxes of annotated people.

    Returns:
        (U, 4) of `boxes` and `ignore`.
    """
    overlap, inside = box_iou(boxes, people), inside_share(people, boxes).T
    overlap[(overlap < COVERED_IOU) & (inside < INSIDE_SHARE)] = 0
    free = np.ones(len(boxes), np.bool_)
    while overlap.max(initial=0) > 0:
        box, person = np.unravel_index(overlap.argmax(), overlap.shape)
        free[box] = False
        overlap[box], overlap[:, person] = 0, 0
    own = (box_iou(ignore, people) >= COVERED_IOU) | (inside_share(ignore, people) >= INSIDE_SHARE)
    return np.concatenate([boxes[free], ignore[~own.any(axis=1)]])


def _picture(
    people: Sequence[Person], size: tuple[int, int] | None, boxes: FloatArray, ignore: FloatArray
) -> Picture:
    first = people[0]
    return Picture(
        dataset=first.dataset,
        indices=tuple(p.index for p in people),
        image=first.image,
        size=size,
        boxes=boxes,
        ignore=ignore,
        held_out=any(p.held_out for p in people),
    )


def _coco_picture(picture: CocoPicture) -> Picture:
    boxes, crowd = picture.boxes, picture.crowd
    return Picture(
        dataset="coco",
        indices=picture.indices,
        image=picture.image,
        size=None,
        boxes=boxes[~crowd],
        ignore=boxes[crowd],
        held_out=picture.held_out,
    )


def read_labels(file: Path) -> tuple[dict[str, Any], Entries]:
    """Return how a label file was made, and its entries by (data set, picture's file name).

    Raises:
        DatasetError: it is missing, damaged or of another schema.
    """
    require(file, "write it with training.detection.label_boxes")
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
        meta, *entries = [json.loads(line) for line in text.splitlines()]
        schema = meta.pop("schema")
        if schema != SCHEMA:
            raise DatasetError(f"{file}: schema: found {schema}, expected {SCHEMA}")
        return meta, {(entry["dataset"], entry["image"]): entry for entry in entries}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise DatasetError(f"{file}: not a file of boxes: {error!r}") from None


def write_labels(file: Path, meta: dict[str, Any], entries: Iterable[dict[str, Any]]) -> None:
    """Write a label file in one step; the same values give the same bytes.

    Raises:
        DatasetError: it cannot be written.
    """
    lines = [{"schema": SCHEMA, **meta}, *entries]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    raw = gzip.compress(text.encode(), mtime=0) if file.suffix == ".gz" else text.encode()
    temporary = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(raw)
        temporary.replace(file)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be written: {error.strerror}") from None
