"""What a data set gives: annotated persons, in MPII's sixteen joints."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import Region, fit_region
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray

logger = logging.getLogger(__name__)

NUM_JOINTS = len(MPII16.keypoints)
RIGHT_SHOULDER, LEFT_SHOULDER = MPII16.index("right_shoulder"), MPII16.index("left_shoulder")
RIGHT_HIP, LEFT_HIP = MPII16.index("right_hip"), MPII16.index("left_hip")


class DatasetError(EdgePoseError):
    """A data set is missing or damaged."""


@dataclass(frozen=True, slots=True)
class Person:
    """One annotated person.

    Attributes:
        dataset: name in training.datasets.DATASETS.
        index: position in the annotation file; identifies the person within the data set.
        image: file.
        keypoints: (16, 2) float32 px in MPII order; arbitrary where not present.
        present: (16,) bool, True where annotated.
        center: centre of the ground-truth crop, px.
        side: side of the ground-truth crop, px.
        unit_px: the length that PCK divides by: head size (MPII) or torso (the others);
            NaN where it is not annotated.
        held_out: for measuring only: the owners' validation or test part, else a part of our own.
        others: (M, 2) float32 px, joints of other annotated people in the same image.
    """

    dataset: str
    index: int
    image: Path
    keypoints: FloatArray
    present: NDArray[np.bool_]
    center: tuple[float, float]
    side: float
    unit_px: float
    held_out: bool
    others: FloatArray

    def region(self, input_size: tuple[int, int]) -> Region:
        """Return the ground-truth crop with the aspect ratio of the network's input."""
        return fit_region(self.center, (self.side, self.side), input_size)


def torso_px(keypoints: FloatArray, present: NDArray[np.bool_]) -> float:
    """Return the PCK unit of LSP: the distance from left shoulder to right hip, or its mirror.

    NaN where neither diagonal is annotated.
    """
    for shoulder, hip in ((LEFT_SHOULDER, RIGHT_HIP), (RIGHT_SHOULDER, LEFT_HIP)):
        if present[shoulder] and present[hip]:
            length = float(np.linalg.norm(keypoints[shoulder] - keypoints[hip]))
            if length > 0:
                return length
    return float("nan")


def joints_crop(
    keypoints: FloatArray, present: NDArray[np.bool_], padding: float
) -> tuple[tuple[float, float], float]:
    """Return centre and side of the square around the annotated joints, times `padding`."""
    points = keypoints[present]
    low, high = points.min(axis=0), points.max(axis=0)
    center = (low + high) / 2
    side = max(float((high - low).max()), 1.0) * padding
    return (float(center[0]), float(center[1])), side


def require(path: Path, hint: str) -> Path:
    """Return the path if it exists.

    Raises:
        DatasetError: it does not; the message carries the hint.
    """
    if not path.exists():
        raise DatasetError(f"{path}: not found, {hint}")
    return path


def with_pictures(persons: Iterable[Person]) -> list[Person]:
    """Return the persons whose picture is there; the log says how many were left out."""
    by_folder: defaultdict[Path, list[Person]] = defaultdict(list)
    for person in persons:
        by_folder[person.image.parent].append(person)
    kept = []
    for folder, people in by_folder.items():
        names = file_names(folder)
        found = [person for person in people if person.image.name in names]
        if len(found) < len(people):
            missing = len(people) - len(found)
            logger.warning(
                "%s: %d of %d persons left out: no picture", folder, missing, len(people)
            )
        kept += found
    return kept


def file_names(folder: Path) -> frozenset[str]:
    """Return the names in a folder, none where it does not exist: one look for many pictures."""
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def read_mat(file: Path, what: str, *, squeeze: bool = False) -> dict[str, Any]:
    """Read the variables of a MATLAB file (up to version 7.2, as the data sets have it).

    Args:
        file: to read.
        what: the data set, for the error.
        squeeze: drop axes of length one and give structs as objects; a struct array of one element
            and an array of one number then are no arrays any more: see `as_list`.

    Raises:
        DatasetError: it is damaged or no MATLAB file.
    """
    from scipy.io import loadmat

    try:
        values: dict[str, Any] = loadmat(file, squeeze_me=squeeze, struct_as_record=not squeeze)
    except Exception as error:  # noqa: BLE001 - what a damaged file raises shares no base class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatasetError(f"{file}: not {what} annotations: {reason}") from None
    return values


def as_list(value: object) -> list[Any]:
    """Return the elements of a squeezed MATLAB array; one element and none are lists, too."""
    return list(np.atleast_1d(np.asarray(value)).ravel())
