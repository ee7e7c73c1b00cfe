"""MPII Human Pose (Andriluka et al., CVPR 2014): annotations and `images/`.

The annotations are `mpii_annotations.json`, one entry per person with Tompson's `isValidation`, or
the owners' release itself (see training.datasets.mpii_release). Where both are there, the release
gives the head sizes that the JSON does not have; without them nothing can be measured.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray
from training.datasets.base import NUM_JOINTS, DatasetError, Person, require
from training.datasets.mpii_release import (
    Annotation,
    find_release,
    read_release,
    read_validation,
)

logger = logging.getLogger(__name__)

ANNOTATIONS = "mpii_annotations.json"
PERSON_HEIGHT_PX = 200.0  # the unit of `scale_provided`
CROP_PADDING = 1.25
CENTER_SHIFT = 15.0  # px per unit of scale: `objpos` sits above the middle of the person
HOLD_OUT_EVERY = 9  # pictures, where nothing says which persons are for validation


def read_mpii(root: Path) -> list[Person]:
    """Read every person; the benchmark's validation persons are `held_out`.

    Raises:
        DatasetError: the annotation file is missing or not the expected one.
    """
    release = find_release(root)
    if release is not None and not (root / ANNOTATIONS).is_file():
        images = require(root / "images", "MPII's pictures")
        return _released(read_release(release), images, root)
    file = require(root / ANNOTATIONS, "expected MPII's layout: it (or the release) and images/")
    images = require(root / "images", "MPII's pictures")
    try:
        entries = json.loads(file.read_text("utf-8"))
        heads = _head_sizes(entries, release)
        persons = [_person(i, entry, images, heads) for i, entry in enumerate(entries)]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file}: not MPII annotations: {error!r}") from None
    return [person for person in persons if person.present.any()]


def _person(
    index: int, entry: dict[str, Any], images: Path, heads: dict[tuple[int, int], float]
) -> Person:
    joints = np.asarray(entry["joint_self"], np.float32).reshape(NUM_JOINTS, 3)
    present: NDArray[np.bool_] = np.all(joints[:, :2] > 0, axis=1)
    if "joint_missing" in entry:
        present = np.asarray(entry["joint_missing"], np.int64) == 0
    x, y = (float(v) for v in entry["objpos"])
    unit_px = entry["head_size"] if "head_size" in entry else heads.get(_number(entry), "nan")
    return _crop_person(
        index=index,
        image=images / entry["img_paths"],
        keypoints=joints[:, :2],
        present=present,
        position=(x, y),
        scale=float(entry["scale_provided"]),
        unit_px=float(unit_px),
        held_out=bool(entry["isValidation"]),
        others=_others(entry.get("joint_others")),
    )


def _crop_person(
    *,
    index: int,
    image: Path,
    keypoints: FloatArray,
    present: NDArray[np.bool_],
    position: tuple[float, float],
    scale: float,
    unit_px: float,
    held_out: bool,
    others: FloatArray,
) -> Person:
    return Person(
        dataset="mpii",
        index=index,
        image=image,
        keypoints=keypoints,
        present=present,
        center=(position[0], position[1] + CENTER_SHIFT * scale),
        side=PERSON_HEIGHT_PX * scale * CROP_PADDING,
        unit_px=unit_px,
        held_out=held_out,
        others=others,
    )


def _released(annotations: list[Annotation], images: Path, root: Path) -> list[Person]:
    """Return the persons of the release.

    Of the pictures with validation persons nobody else is taken, as the benchmark does.
    """
    validation = read_validation(root)
    if validation is None:
        logger.warning(
            "%s: every %dth picture is held out: the release does not name the benchmark's"
            " validation persons; put Tompson's detections.mat, valid.json or %s beside it",
            root,
            HOLD_OUT_EVERY,
            ANNOTATIONS,
        )
        held_out = [annotation.picture % HOLD_OUT_EVERY == 0 for annotation in annotations]
    else:
        held_out = [bool(annotation.identities & validation) for annotation in annotations]
    in_picture: defaultdict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        in_picture[annotation.picture].append(annotation)
    measured = {a.picture for a, chosen in zip(annotations, held_out, strict=True) if chosen}
    return [
        _crop_person(
            index=index,
            image=images / annotation.name,
            keypoints=annotation.joints,
            present=annotation.present,
            position=annotation.position,
            scale=annotation.scale,
            unit_px=annotation.head_px,
            held_out=chosen,
            others=_joints_of_others(annotation, in_picture[annotation.picture]),
        )
        for index, (annotation, chosen) in enumerate(zip(annotations, held_out, strict=True))
        if annotation.present.any() and (chosen or annotation.picture not in measured)
    ]


def _joints_of_others(person: Annotation, people: list[Annotation]) -> FloatArray:
    joints = [other.joints[other.present] for other in people if other is not person]
    return np.concatenate([np.zeros((0, 2), np.float32), *joints])


def _number(entry: dict[str, Any]) -> tuple[int, int]:
    return int(entry.get("annolist_index", 0)), int(entry.get("people_index", 0))


def _head_sizes(entries: list[Any], release: Path | None) -> dict[tuple[int, int], float]:
    """Return head sizes by (picture, person); the release is read only where it is needed."""
    if release is None or all("head_size" in e for e in entries if e["isValidation"]):
        return {}
    return {(a.picture, a.person): a.head_px for a in read_release(release)}


def _others(value: object) -> FloatArray:
    """Joints of other people; MATLAB's export writes none as an object and one as a flat list."""
    if not isinstance(value, list) or not value:
        return np.zeros((0, 2), np.float32)
    joints = np.asarray(value, np.float32).reshape(-1, 3)
    return joints[(joints[:, :2] > 0).all(axis=1), :2]
