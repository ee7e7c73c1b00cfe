"""People whose joints are known, to measure networks on: MPII's validation persons.

A small reader of its own: benchmarks import no training. Crops are those of the benchmark (and of
training.datasets): a square of 200 · scale · k px around `objpos`, 15 · scale px further down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import Region, fit_region
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image

ANNOTATIONS = "mpii_annotations.json"
PERSON_HEIGHT_PX = 200.0  # the unit of `scale_provided`
CENTER_SHIFT = 15.0  # px per unit of scale: `objpos` sits above the middle of the person
NUM_JOINTS = len(MPII16.keypoints)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a picture.

    Attributes:
        picture: reads it, (H, W, 3) uint8 BGR.
        center: of the crop, px.
        height_px: side of the crop at k = 1.
        keypoints: (16, 2) float32 px in MPII order; arbitrary where not present.
        present: (16,) bool, True where annotated.
        unit_px: the length that the metric divides by; NaN where nothing is annotated.
    """

    picture: Callable[[], Image]
    center: tuple[float, float]
    height_px: float
    keypoints: FloatArray
    present: NDArray[np.bool_]
    unit_px: float

    def region(self, crop_factor: float, input_size: tuple[int, int]) -> Region:
        """Return the crop with the aspect ratio of a network's input; `crop_factor` is k."""
        side = self.height_px * crop_factor
        return fit_region(self.center, (side, side), input_size)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who is measured on.

    Attributes:
        persons: in the order of the annotations; at least one.
        dataset: name of the data set, or of the clip.
        metric: for example "PCKh@0.5"; "" where no joints are known: latency only.
        threshold: of the metric, in units of `unit_px`.
    """

    persons: tuple[Person, ...]
    dataset: str
    metric: str = ""
    threshold: float = 0.5

    def truth(self) -> tuple[FloatArray, NDArray[np.bool_], FloatArray]:
        """Return keypoints (N, 16, 2) px, which of them are there (N, 16), and units (N,) px."""
        return (
            np.stack([person.keypoints for person in self.persons]),
            np.stack([person.present for person in self.persons]),
            np.array([person.unit_px for person in self.persons], np.float32),
        )


def read_mpii(folder: Path) -> People:
    """Read MPII's validation persons whose picture is there.

    Args:
        folder: with `mpii_annotations.json` and `images/`, as training.datasets.mpii takes it.

    Raises:
        EdgePoseError: a file is missing, it holds something else, or nobody is left.
    """
    file, images = folder / ANNOTATIONS, folder / "images"
    try:
        entries = json.loads(file.read_text("utf-8"))
        chosen = [entry for entry in entries if entry["isValidation"] and "head_size" in entry]
        persons = [_mpii_person(entry, images) for entry in chosen]
    except OSError as error:
        raise EdgePoseError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EdgePoseError(f"{file}: not MPII annotations: {error!r}") from None
    kept = tuple(person for person, there in persons if there and person.present.any())
    if not kept:
        raise EdgePoseError(f"{folder}: no validation person with head size, joints and picture")
    return People(kept, "mpii", "PCKh@0.5")


def _mpii_person(entry: dict[str, Any], images: Path) -> tuple[Person, bool]:
    """Return a person, and whether the picture is there."""
    joints = np.asarray(entry["joint_self"], np.float32).reshape(NUM_JOINTS, 3)
    present: NDArray[np.bool_] = np.all(joints[:, :2] > 0, axis=1)
    if "joint_missing" in entry:
        present = np.asarray(entry["joint_missing"], np.int64) == 0
    (x, y), scale = (float(v) for v in entry["objpos"]), float(entry["scale_provided"])
    picture = images / str(entry["img_paths"])
    person = Person(
        picture=partial(read_picture, picture),
        center=(x, y + CENTER_SHIFT * scale),
        height_px=PERSON_HEIGHT_PX * scale,
        keypoints=joints[:, :2],
        present=present,
        unit_px=float(entry["head_size"]),
    )
    return person, picture.is_file()


def read_picture(file: Path) -> Image:
    """Read a picture.

    Raises:
        EdgePoseError: it cannot be read, or is none.
    """
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise EdgePoseError(f"{file}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise EdgePoseError(f"{file}: not a picture")
    return np.asarray(image, np.uint8)


def clip_people(clip: Path, count: int = 126) -> People:
    """Return the middle of each of the first frames of a clip: for latency, nobody's joints known.

    Raises:
        EdgePoseError: it cannot be read, or has no frames.
    """
    from edge_pose.sources import open_source

    persons: list[Person] = []
    with open_source(str(clip)) as source:
        for frame, _ in zip(source.frames(), range(count), strict=False):
            height, width = frame.image.shape[:2]
            persons.append(
                Person(
                    picture=partial(_same, frame.image),
                    center=((width - 1) / 2, (height - 1) / 2),
                    height_px=float(min(height, width)),
                    keypoints=np.zeros((NUM_JOINTS, 2), np.float32),
                    present=np.zeros(NUM_JOINTS, np.bool_),
                    unit_px=float("nan"),
                )
            )
    if not persons:
        raise EdgePoseError(f"{clip}: no frames, there is nothing to measure")
    return People(tuple(persons), clip.name)


def _same(image: Image) -> Image:
    return image
