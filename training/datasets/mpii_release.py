"""MPII Human Pose as its owners give it: `mpii_human_pose_v1_u12_1.mat`.

The release has no validation part. The 2,958 persons that papers measure on were chosen by Tompson
et al. (CVPR 2015); they are read from a file beside the release, whichever is there:

- `detections.mat`: theirs, with numbers of picture and person (`RELEASE_img_index`, …);
- `valid.json`: the same persons with picture name and centre, as many repositories carry it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_pose.metrics.pck import HEAD_BOX_FACTOR
from edge_pose.types import FloatArray
from training.datasets.base import NUM_JOINTS, DatasetError, as_list, read_mat

PLACES = ("", "annot", "mpii_human_pose_v1_u12_2")  # folders that the owners' archives unpack to

Identity: TypeAlias = tuple[int, int] | tuple[str, int, int]
"""(picture, person), both from 1; or (picture name, x, y of the person's position, px)."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated person.

    Attributes:
        picture: number in `annolist`, from 1.
        person: number in `annorect` of the picture, from 1.
        name: file name of the picture.
        joints: (16, 2) float32 px.
        present: (16,) bool.
        position: `objpos`, px.
        scale: height over 200 px.
        head_px: PCKh's unit; NaN where the head box is not annotated.
    """

    picture: int
    person: int
    name: str
    joints: FloatArray
    present: NDArray[np.bool_]
    position: tuple[float, float]
    scale: float
    head_px: float

    @property
    def identities(self) -> set[Identity]:
        """What lists of persons call this one."""
        x, y = self.position
        return {(self.picture, self.person), (self.name, round(x), round(y))}


def find_file(root: Path, pattern: str) -> Path | None:
    """Return the first file of that name in `root` or where the owners' archives put it."""
    found = (file for place in PLACES for file in sorted((root / place).glob(pattern)))
    return next(found, None)


def find_release(root: Path) -> Path | None:
    """Return the file of the release, if it is there."""
    return find_file(root, "mpii_human_pose_v1_u12_*.mat")


def read_release(file: Path) -> list[Annotation]:
    """Read everybody with joints in the training pictures; the test pictures have none.

    The file holds 40,000 people: it takes the best part of a minute.

    Raises:
        DatasetError: the file is damaged or holds something else.
    """
    values = read_mat(file, "MPII", squeeze=True)
    try:
        release = values["RELEASE"]
        annotations = []
        training = as_list(release.img_train)
        for number, (picture, train) in enumerate(
            zip(as_list(release.annolist), training, strict=True), 1
        ):
            if not train:
                continue
            name = str(picture.image.name)
            for person, rect in enumerate(as_list(picture.annorect), 1):
                annotation = _annotation(number, person, name, rect)
                if annotation is not None:
                    annotations.append(annotation)
    except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise DatasetError(f"{file}: not MPII annotations: {error!r}") from None
    return annotations


def read_validation(root: Path) -> set[Identity] | None:
    """Return who is for validation; None where no file beside the release says it.

    Raises:
        DatasetError: the file that should say it is damaged.
    """
    if file := find_file(root, "detections.mat"):
        values = read_mat(file, "Tompson's MPII")
        try:
            pictures = values["RELEASE_img_index"].ravel().tolist()
            persons = values["RELEASE_person_index"].ravel().tolist()
        except (KeyError, AttributeError) as error:
            raise DatasetError(f"{file}: not Tompson's list: {error!r}") from None
        return {(int(a), int(b)) for a, b in zip(pictures, persons, strict=True)}
    if file := find_file(root, "valid.json"):
        try:
            rows = json.loads(file.read_text("utf-8"))
            return {(row["image"], *(round(float(v)) for v in row["center"])) for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{file}: not MPII's validation persons: {error!r}") from None
    return None


def _annotation(
    picture: int,
    person: int,
    name: str,
    rect: Any,  # noqa: ANN401 - a MATLAB struct; which fields it has differs from picture to picture
) -> Annotation | None:
    """Return None for a person without joints, position or scale."""
    points = as_list(getattr(getattr(rect, "annopoints", None), "point", []))
    scale = as_list(getattr(rect, "scale", []))
    position: Any = getattr(rect, "objpos", None)  # an empty array where nobody gave it
    if not points or not scale or not hasattr(position, "x"):
        return None
    joints = np.zeros((NUM_JOINTS, 2), np.float32)
    for point in points:
        joints[int(point.id)] = float(point.x), float(point.y)
    return Annotation(
        picture=picture,
        person=person,
        name=name,
        joints=joints,
        present=np.all(joints > 0, axis=1),
        position=(float(position.x), float(position.y)),
        scale=float(scale[0]),
        head_px=_head_px(rect),
    )


def _head_px(rect: Any) -> float:  # noqa: ANN401 - a MATLAB struct
    corners = [as_list(getattr(rect, name, [])) for name in ("x1", "y1", "x2", "y2")]
    if not all(corners):
        return math.nan
    x1, y1, x2, y2 = (float(corner[0]) for corner in corners)
    return HEAD_BOX_FACTOR * math.hypot(x2 - x1, y2 - y1)
