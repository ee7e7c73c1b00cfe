"""What a data set gives: annotated persons, in MPII's sixteen joints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import Region, fit_region
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray

NUM_JOINTS = len(MPII16.keypoints)
RIGHT_SHOULDER, LEFT_SHOULDER = MPII16.index("right_shoulder"), MPII16.index("left_shoulder")
RIGHT_HIP, LEFT_HIP = MPII16.index("right_hip"), MPII16.index("left_hip")


class DatasetError(EdgePoseError):
    """A data set is missing or damaged."""


@dataclass(frozen=True, slots=True)
class Person:
    """One annotated person.

    Attributes:
        dataset: "mpii", "lspet" or "coco".
        index: position in the annotation file; identifies the person within the data set.
        image: file.
        keypoints: (16, 2) float32 px in MPII order; arbitrary where not present.
        present: (16,) bool, True where annotated.
        center: centre of the ground-truth crop, px.
        side: side of the ground-truth crop, px.
        unit_px: the length that PCK divides by: head size (MPII) or torso (LSPET, COCO);
            NaN where it is not annotated.
        held_out: for measuring only.
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
