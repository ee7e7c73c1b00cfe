"""MPII Human Pose (Andriluka et al., CVPR 2014): `mpii_annotations.json` and `images/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray
from training.datasets.base import NUM_JOINTS, DatasetError, Person, require

PERSON_HEIGHT_PX = 200.0  # the unit of `scale_provided`
CROP_PADDING = 1.25
CENTER_SHIFT = 15.0  # px per unit of scale: `objpos` sits above the middle of the person


def load_mpii(root: Path) -> list[Person]:
    """Read every person of `root`; the benchmark's validation persons are `held_out`.

    A person whose image is not there is left out, so that a part of the data set works too.

    Raises:
        DatasetError: the annotation file is missing or not the expected JSON.
    """
    file = require(root / "mpii_annotations.json", "expected MPII's layout: it and images/")
    try:
        entries = json.loads(file.read_text())
        images = {path.name for path in require(root / "images", "MPII's pictures").iterdir()}
        persons = [
            _person(i, entry, root / "images")
            for i, entry in enumerate(entries)
            if entry["img_paths"] in images
        ]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file}: not MPII annotations: {error!r}") from None
    return [person for person in persons if person.present.any()]


def _person(index: int, entry: dict[str, Any], images: Path) -> Person:
    joints = np.asarray(entry["joint_self"], np.float32).reshape(NUM_JOINTS, 3)
    present: NDArray[np.bool_] = np.all(joints[:, :2] > 0, axis=1)
    if "joint_missing" in entry:
        present = np.asarray(entry["joint_missing"], np.int64) == 0
    scale = float(entry["scale_provided"])
    x, y = (float(v) for v in entry["objpos"])
    return Person(
        dataset="mpii",
        index=index,
        image=images / entry["img_paths"],
        keypoints=joints[:, :2],
        present=present,
        center=(x, y + CENTER_SHIFT * scale),
        side=PERSON_HEIGHT_PX * scale * CROP_PADDING,
        unit_px=float(entry.get("head_size", "nan")),
        held_out=bool(entry["isValidation"]),
        others=_others(entry.get("joint_others")),
    )


def _others(value: object) -> FloatArray:
    """Joints of other people; MATLAB's export writes none as an object and one as a flat list."""
    if not isinstance(value, list) or not value:
        return np.zeros((0, 2), np.float32)
    joints = np.asarray(value, np.float32).reshape(-1, 3)
    return joints[(joints[:, :2] > 0).all(axis=1), :2]
