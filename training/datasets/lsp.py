"""Leeds Sports Pose (Johnson and Everingham, BMVC 2010): `joints.mat` (3, 14, 2000) and `images/`.

The first thousand pictures are for training, the others for testing. The third row of `joints` is 1
where a joint is hidden; hidden joints are annotated, too. LSP-Extended numbers its axes differently
and has its own meaning of the third row: see training.datasets.lspet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray
from training.datasets.base import (
    NUM_JOINTS,
    DatasetError,
    Person,
    joints_crop,
    read_mat,
    require,
    torso_px,
)

# LSP's fourteen joints in MPII's order; pelvis and thorax are not annotated.
LSP_TO_MPII = (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
CROP_PADDING = 1.4  # joints end at wrists, ankles and head top: leave room for hands and feet
TRAINING_PICTURES = 1000


def read_lsp(root: Path) -> list[Person]:
    """Read every annotated person; the test pictures are `held_out`.

    Raises:
        DatasetError: `joints.mat` is missing or does not hold (3, 14, N).
    """
    joints = read_joints(root, "LSP", (3, 14))
    images = require(root / "images", "LSP's pictures")
    persons = []
    for index in range(joints.shape[2]):
        points = joints[:2, :, index].T
        present = np.all(np.isfinite(points) & (points > 0), axis=1)
        image = images / f"im{index + 1:04d}.jpg"
        held_out = index >= TRAINING_PICTURES
        persons.append(lsp_person("lsp", index, image, points, present, held_out))
    return [person for person in persons if person is not None]


def read_joints(root: Path, name: str, shape: tuple[int, int]) -> FloatArray:
    """Return `joints` of `joints.mat`, float32 of shape (*shape, N).

    Raises:
        DatasetError: the file is missing, damaged or holds something else.
    """
    file = require(root / "joints.mat", f"expected {name}'s layout: it and images/")
    values = read_mat(file, name)
    try:
        joints = np.asarray(values["joints"], np.float32)
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(f"{file}: not {name} annotations: {error!r}") from None
    if joints.ndim != 3 or joints.shape[:2] != shape:
        expected = f"({shape[0]}, {shape[1]}, N)"
        raise DatasetError(f"{file}: found joints of shape {joints.shape}, expected {expected}")
    return joints


def lsp_person(
    dataset: str,
    index: int,
    image: Path,
    points: FloatArray,
    present: NDArray[np.bool_],
    held_out: bool,
) -> Person | None:
    """Return a person of LSP's (14, 2) joints; None where fewer than two are annotated."""
    if present.sum() < 2:
        return None
    keypoints = np.zeros((NUM_JOINTS, 2), np.float32)
    annotated = np.zeros(NUM_JOINTS, np.bool_)
    keypoints[list(LSP_TO_MPII)] = points
    annotated[list(LSP_TO_MPII)] = present
    center, side = joints_crop(keypoints, annotated, CROP_PADDING)
    return Person(
        dataset=dataset,
        index=index,
        image=image,
        keypoints=keypoints,
        present=annotated,
        center=center,
        side=side,
        unit_px=torso_px(keypoints, annotated),
        held_out=held_out,
        others=np.zeros((0, 2), np.float32),
    )
