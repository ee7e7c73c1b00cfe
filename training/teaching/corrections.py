"""Corrections of labels on disk, and what they make of a data set.

JSON lines, gzip'd where the name ends in .gz. The first line is an object with the schema, the data
set and how the corrections were found; then one object per joint:
`{"index", "joint", "action", "old": [x, y], "new": [x, y], "distance", "confidence"}`.

Actions: "drop" (the joint counts as not annotated), "swap" (it takes the place of its partner on
the other side, which has a line of its own) and "replace" (it takes the teacher's place).
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray
from training.datasets.base import DatasetError, Person, joints_crop, torso_px

SCHEMA = "edge_pose.corrections/1"
SHIPPED = Path(__file__).parents[1] / "labels"
ACTIONS = ("drop", "swap", "replace")
ROUNDING_PX = 0.51  # positions are stored in tenths; other labels are further away


@dataclass(frozen=True, slots=True)
class Correction:
    """What happens to one joint of one person.

    Attributes:
        index: the person, as Person.index.
        joint: name in MPII's format.
        action: one of ACTIONS.
        old: x, y of the label, source px.
        new: x, y where the joint should be; for "drop" where the teacher sees it.
        distance: between label and teacher, in units (see training.teaching.clean).
        confidence: of the teacher, in [0, 1].
    """

    index: int
    joint: str
    action: Literal["drop", "swap", "replace"]
    old: tuple[float, float]
    new: tuple[float, float]
    distance: float
    confidence: float


def write_corrections(
    file: Path, dataset: str, corrections: Iterable[Correction], meta: dict[str, Any]
) -> None:
    """Write a file of corrections; the same content gives the same bytes.

    Raises:
        DatasetError: it cannot be written.
    """
    header = {"schema": SCHEMA, "dataset": dataset, **meta}
    lines = [json.dumps(values) for values in (header, *map(asdict, corrections))]
    data = ("\n".join(lines) + "\n").encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(data, mtime=0) if file.suffix == ".gz" else data)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be written: {error.strerror}") from None


def read_corrections(file: Path) -> tuple[str, list[Correction]]:
    """Read a file of corrections: the data set's name, and what to change.

    A plain name that is not in the working directory is looked for in training/labels.

    Raises:
        DatasetError: it is missing, damaged or of another schema.
    """
    shipped = SHIPPED / file.name
    if file.parent == Path() and not file.exists() and shipped.exists():
        file = shipped
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
        header, *rows = [json.loads(line) for line in text.splitlines()]
        if header["schema"] != SCHEMA:
            raise DatasetError(f"{file}: schema {header['schema']!r}, expected '{SCHEMA}'")
        return str(header["dataset"]), [_correction(row) for row in rows]
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (EOFError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file}: not a file of corrections: {error!r}") from None


def apply_corrections(persons: Sequence[Person], file: Path) -> list[Person]:
    """Return the persons with their labels corrected.

    The torso unit and the crop follow. Held-out persons stay as they are, so that figures stay
    comparable; a person without any joint left is left out.

    Raises:
        DatasetError: the file cannot be read, or was made for other labels.
    """
    dataset, corrections = read_corrections(file)
    by_person: dict[int, list[Correction]] = defaultdict(list)
    for correction in corrections:
        by_person[correction.index].append(correction)
    changed = [
        _correct(person, by_person[person.index], file)
        if person.dataset == dataset and person.index in by_person and not person.held_out
        else person
        for person in persons
    ]
    return [person for person in changed if person.present.any()]


def _correct(person: Person, corrections: Sequence[Correction], file: Path) -> Person:
    keypoints, present = person.keypoints.copy(), person.present.copy()
    body = person.keypoints.copy()
    for correction in corrections:
        joint = MPII16.index(correction.joint)
        old, new = (np.array(p, np.float32) for p in (correction.old, correction.new))
        if not present[joint] or np.abs(person.keypoints[joint] - old).max() > ROUNDING_PX:
            raise DatasetError(
                f"{file}: {correction.joint} of {person.dataset} {person.index} is elsewhere in"
                " these annotations: the corrections were made for others, clean them again"
            )
        body[joint] = new
        if correction.action == "drop":
            present[joint] = False
        else:
            keypoints[joint] = new
    center, side = _follow(person, body)
    unit_px = torso_px(keypoints, present) if person.dataset != "mpii" else person.unit_px
    return replace(
        person, keypoints=keypoints, present=present, center=center, side=side, unit_px=unit_px
    )


def _follow(person: Person, body: FloatArray) -> tuple[tuple[float, float], float]:
    """Move and scale the crop as the square around all annotated joints moves and grows."""
    (x0, y0), before = joints_crop(person.keypoints, person.present, 1.0)
    (x1, y1), after = joints_crop(body, person.present, 1.0)
    x, y = person.center
    return (x + x1 - x0, y + y1 - y0), person.side * after / before


def _correction(row: dict[str, Any]) -> Correction:
    (old_x, old_y), (new_x, new_y) = row.pop("old"), row.pop("new")
    found = Correction(old=(old_x, old_y), new=(new_x, new_y), **row)
    if found.action not in ACTIONS or found.joint not in MPII16.keypoints:
        raise ValueError(f"joint {found.joint}, action {found.action}")
    return found
