"""COCO keypoints (Lin et al., ECCV 2014): `annotations/person_keypoints_*.json` and pictures.

Persons are given in MPII's sixteen joints: the twelve that both have; the rest is not annotated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edge_pose.skeleton import COCO17, MPII16
from training.datasets.base import NUM_JOINTS, DatasetError, Person, require, torso_px

COMMON = tuple(name for name in MPII16.keypoints if name in COCO17.keypoints)
_FROM = [COCO17.index(name) for name in COMMON]
_TO = [MPII16.index(name) for name in COMMON]
CROP_PADDING = 1.25
MIN_JOINTS = 4  # fewer of the common joints do not say where the person is


def load_coco(root: Path) -> list[Person]:
    """Read every person with keypoints, of the annotation files whose pictures are there.

    All of them are `held_out`: edge_pose trains on MPII and LSPET.

    Raises:
        DatasetError: no annotation file is there, or one is not COCO's JSON.
    """
    folder = require(root / "annotations", "expected COCO's layout: annotations/ and train2017/ …")
    files = sorted(folder.glob("person_keypoints_*.json"))
    if not files:
        raise DatasetError(f"{folder}: no person_keypoints_*.json in it")
    persons: list[Person] = []
    for file in files:
        pictures = root / file.stem.removeprefix("person_keypoints_")
        try:
            data = json.loads(file.read_text())
            names = {image["id"]: image["file_name"] for image in data["images"]}
            for entry in data["annotations"]:
                person = _person(entry, pictures / names[entry["image_id"]])
                if person is not None and person.image.is_file():
                    persons.append(person)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{file}: not COCO keypoint annotations: {error!r}") from None
    return persons


def _person(entry: dict[str, Any], image: Path) -> Person | None:
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
        image=image,
        keypoints=keypoints,
        present=present,
        center=(x + width / 2, y + height / 2),
        side=max(width, height, 1.0) * CROP_PADDING,
        unit_px=torso_px(keypoints, present),
        held_out=True,
        others=np.zeros((0, 2), np.float32),
    )
