"""Contact sheet of what a cleaning of labels wants to change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_pose.preprocess import apply_affine
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image
from training.datasets.base import Person
from training.pictures.people import WRONG, cut_out, draw_prediction
from training.pictures.sheets import TILE_PX, sheet
from training.teaching.corrections import Correction

SWAPPED = (167, 121, 204)  # BGR, Okabe and Ito's purple
LEGEND = (
    "Labels: left side orange, right side blue, middle yellow. Red: a label that is dropped or"
    " replaced, and a ring where the teachers see the joint. Purple square: left and right swapped."
)


def correction_sheet(
    persons: Sequence[Person], corrections: Sequence[Correction], out: Path, count: int = 24
) -> Path:
    """Draw the `count` persons with the largest corrections, largest first.

    Raises:
        PictureError: there is no correction, or the file cannot be written.
    """
    by_person: dict[int, list[Correction]] = defaultdict(list)
    for correction in corrections:
        by_person[correction.index].append(correction)
    largest = sorted(by_person, key=lambda i: -max(c.distance for c in by_person[i]))[:count]
    labelled = {person.index: person for person in persons}
    tiles = [_tile(labelled[index], by_person[index]) for index in largest]
    captions = [f"{index}: {_caption(by_person[index])}" for index in largest]
    title = f"Largest {len(tiles)} of {len(by_person)} corrected people"
    return sheet(tiles, captions, out, title=title, note=LEGEND)


def _tile(person: Person, corrections: Sequence[Correction]) -> Image:
    image, matrix = cut_out(person, TILE_PX)
    points = apply_affine(person.keypoints, matrix)
    wrong = np.zeros(len(points), np.bool_)
    for correction in corrections:
        if correction.action != "swap":
            joint = MPII16.index(correction.joint)
            wrong[joint] = True
            ring = _xy(apply_affine(np.array(correction.new, np.float32), matrix))
            cv2.line(image, _xy(points[joint]), ring, WRONG, 2, cv2.LINE_AA)
            cv2.circle(image, ring, 7, WRONG, 2, cv2.LINE_AA)
    draw_prediction(image, points, person.present, wrong, MPII16)
    for correction in corrections:
        if correction.action == "swap":
            x, y = _xy(points[MPII16.index(correction.joint)])
            cv2.rectangle(image, (x - 8, y - 8), (x + 8, y + 8), SWAPPED, 2, cv2.LINE_AA)
    return image


def _xy(point: FloatArray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _caption(corrections: Sequence[Correction]) -> str:
    counts = {a: sum(c.action == a for c in corrections) for a in ("drop", "replace", "swap")}
    return ", ".join(f"{n} {action}" for action, n in counts.items() if n)
