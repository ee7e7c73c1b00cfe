"""COCO keypoints (Lin et al., ECCV 2014): `annotations/person_keypoints_*.json` and pictures.

Persons are given in MPII's sixteen joints: the twelve that both have; the rest is not annotated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import COCO17, MPII16
from edge_pose.types import FloatArray
from training.datasets.base import (
    NUM_JOINTS,
    DatasetError,
    Person,
    file_names,
    require,
    torso_px,
)

COMMON = tuple(name for name in MPII16.keypoints if name in COCO17.keypoints)
_FROM = [COCO17.index(name) for name in COMMON]
_TO = [MPII16.index(name) for name in COMMON]
CROP_PADDING = 1.25
MIN_JOINTS = 4  # fewer of the common joints do not say where the person is
CORNER = 0.5  # COCO's boxes count from the corner of the first pixel, ours from its centre


@dataclass(frozen=True, slots=True)
class CocoPicture:
    """A picture that an annotation file lists, and what it says of the people in it.

    Attributes:
        image: file; it need not be there.
        held_out: of a validation part.
        entries: as in the file, E of them; "id", "bbox" and "keypoints" are sound.
    """

    image: Path
    held_out: bool
    entries: list[dict[str, Any]]

    @property
    def indices(self) -> tuple[int, ...]:
        """Ids of the people; those of crowds have twelve digits, too many for a bit set."""
        return tuple(int(e["id"]) for e in self.entries if not e.get("iscrowd"))

    @property
    def boxes(self) -> FloatArray:
        """(E, 4) float32 xyxy px, pixel centres at whole numbers."""
        boxes = np.array([e["bbox"] for e in self.entries], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return np.asarray(boxes - CORNER, np.float32)

    @property
    def crowd(self) -> NDArray[np.bool_]:
        """(E,) True where the entry is a group of people."""
        return np.array([bool(e.get("iscrowd")) for e in self.entries], np.bool_)

    @property
    def keypoints(self) -> FloatArray:
        """(E, 17, 3) float32 x, y, v of COCO17; v is 0 where a keypoint is not annotated."""
        return np.array([e["keypoints"] for e in self.entries], np.float32).reshape(-1, 17, 3)


def coco_entries(root: Path) -> list[CocoPicture]:
    """Read every picture that the annotation files list, with and without people.

    Raises:
        DatasetError: no annotation file is there, or one is not COCO's JSON.
    """
    folder = require(root / "annotations", "expected COCO's layout: annotations/ and train2017/ …")
    files = sorted(folder.glob("person_keypoints_*.json"))
    if not files:
        raise DatasetError(f"{folder}: no person_keypoints_*.json in it")
    pictures: list[CocoPicture] = []
    for file in files:
        try:
            pictures += _read_part(file, root / file.stem.removeprefix("person_keypoints_"))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{file}: not COCO keypoint annotations: {error!r}") from None
    return pictures


def coco_pictures(root: Path) -> list[CocoPicture]:
    """Return the pictures of `coco_entries` that are there."""
    listed = coco_entries(root)
    names = {folder: file_names(folder) for folder in {p.image.parent for p in listed}}
    return [picture for picture in listed if picture.image.name in names[picture.image.parent]]


def _read_part(file: Path, folder: Path) -> list[CocoPicture]:
    data = json.loads(file.read_text("utf-8"))
    entries: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in data["images"]}
    for entry in data["annotations"]:
        # What CocoPicture makes of it fails here, where the file is known.
        int(entry["id"])
        np.asarray(entry["bbox"], np.float32).reshape(4)
        np.asarray(entry["keypoints"], np.float32).reshape(len(COCO17.keypoints), 3)
        entries[entry["image_id"]].append(entry)
    held_out = folder.name.startswith("val")
    return [
        CocoPicture(folder / image["file_name"], held_out, entries[image["id"]])
        for image in data["images"]
    ]


def read_coco(root: Path) -> list[Person]:
    """Read every person with keypoints of all annotation files; those of val2017 are `held_out`.

    Raises:
        DatasetError: no annotation file is there, or one is not COCO's JSON.
    """
    persons = (_person(entry, p) for p in coco_entries(root) for entry in p.entries)
    return [person for person in persons if person is not None]


def _person(entry: dict[str, Any], picture: CocoPicture) -> Person | None:
    if entry.get("iscrowd") or not entry.get("num_keypoints"):
        return None
    annotated = np.asarray(entry["keypoints"], np.float32).reshape(len(COCO17.keypoints), 3)
    keypoints = np.zeros((NUM_JOINTS, 2), np.float32)
    present = np.zeros(NUM_JOINTS, np.bool_)
    keypoints[_TO] = annotated[_FROM, :2]
    present[_TO] = annotated[_FROM, 2] > 0
    if present.sum() < MIN_JOINTS:
        return None
    x, y, width, height = (float(v) for v in entry["bbox"])
    return Person(
        dataset="coco",
        index=int(entry["id"]),
        image=picture.image,
        keypoints=keypoints,
        present=present,
        center=(x + width / 2 - CORNER, y + height / 2 - CORNER),
        side=max(width, height, 1.0) * CROP_PADDING,
        unit_px=torso_px(keypoints, present),
        held_out=picture.held_out,
        others=np.zeros((0, 2), np.float32),
    )
