"""Held-out people of Leeds Sports Pose Extended: athletes, many of them upside down.

`joints.mat` needs SciPy, which comes with `edge-pose[train]`. Held out are the pictures that
training.datasets.lspet keeps for measuring; the crop is its own, at k = 1.25.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.people import NUM_JOINTS, People, Person, read_picture
from edge_pose.errors import EdgePoseError
from edge_pose.skeleton import LSP14, MPII16
from edge_pose.types import FloatArray

HOLD_OUT_EVERY, HOLD_OUT_AT = 20, 9
CROP_PADDING = 1.4  # side of the crop at k = 1.25 over that of the box around the joints
MPII_OF_LSP = [MPII16.index(name) for name in LSP14.keypoints]
# PCK's unit is the torso's diagonal; the other one where a joint of the first is not annotated.
DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


def read_lspet(folder: Path) -> People:
    """Read the held-out people whose picture and torso are there.

    Raises:
        EdgePoseError: SciPy or a file is missing, it holds something else, or nobody is left.
    """
    joints = _read_joints(folder / "joints.mat")
    persons = []
    for index in range(HOLD_OUT_AT, joints.shape[2], HOLD_OUT_EVERY):
        picture = folder / "images" / f"im{index + 1:05d}.jpg"
        if picture.is_file():
            persons.append(_person(picture, joints[:, :, index]))
    kept = tuple(person for person in persons if person is not None)
    if not kept:
        raise EdgePoseError(f"{folder}: no held-out person with a torso and a picture")
    return People(kept, "lspet", "PCK@0.2", 0.2)


def _read_joints(file: Path) -> FloatArray:
    """Return (14, 3, N): x, y in px and 1 where a joint is annotated."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise EdgePoseError(f"{file}: needs SciPy, pip install 'edge-pose[train]'") from None
    try:
        joints = np.asarray(loadmat(file)["joints"], np.float32)
    except OSError as error:
        raise EdgePoseError(f"{file}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - what a damaged file raises shares no base class
        raise EdgePoseError(f"{file}: not LSPET annotations: {error!r}") from None
    if joints.ndim != 3 or joints.shape[:2] != (len(LSP14.keypoints), 3):
        raise EdgePoseError(f"{file}: found joints of shape {joints.shape}, expected (14, 3, N)")
    return joints


def _person(picture: Path, joints: FloatArray) -> Person | None:
    keypoints = np.zeros((NUM_JOINTS, 2), np.float32)
    present = np.zeros(NUM_JOINTS, np.bool_)
    keypoints[MPII_OF_LSP], present[MPII_OF_LSP] = joints[:, :2], joints[:, 2] > 0
    unit_px = _torso_px(keypoints, present)
    if unit_px is None:
        return None
    low, high = keypoints[present].min(axis=0), keypoints[present].max(axis=0)
    x, y = ((low + high) / 2).tolist()
    side = max(float((high - low).max()), 1.0)
    return Person(
        picture=partial(read_picture, picture),
        center=(x, y),
        height_px=side * CROP_PADDING / 1.25,
        keypoints=keypoints,
        present=present,
        unit_px=unit_px,
    )


def _torso_px(keypoints: FloatArray, present: NDArray[np.bool_]) -> float | None:
    for names in DIAGONALS:
        ends = [MPII16.index(name) for name in names]
        length = float(np.linalg.norm(keypoints[ends[0]] - keypoints[ends[1]]))
        if present[ends].all() and length > 0:
            return length
    return None
