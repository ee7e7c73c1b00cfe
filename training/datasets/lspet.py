"""Leeds Sports Pose Extended (Johnson and Everingham, CVPR 2011): `joints.mat` and `images/`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets.base import (
    NUM_JOINTS,
    DatasetError,
    Person,
    joints_crop,
    require,
    torso_px,
)

# LSP's fourteen joints in MPII's order; pelvis and thorax are not annotated.
LSP_TO_MPII = (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
CROP_PADDING = 1.4  # joints end at wrists, ankles and head top: leave room for hands and feet
# The data set has no validation part of its own: every twentieth picture is ours for measuring.
HOLD_OUT_EVERY, HOLD_OUT_AT = 20, 9


def load_lspet(root: Path) -> list[Person]:
    """Read every annotated person whose picture is there.

    Raises:
        DatasetError: `joints.mat` is missing or does not hold (14, 3, N).
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    file = require(root / "joints.mat", "expected LSPET's layout: it and images/")
    try:
        joints = np.asarray(loadmat(file)["joints"], np.float32)
    except (MatReadError, ValueError, KeyError, OSError, TypeError) as error:
        raise DatasetError(f"{file}: not LSPET annotations: {error!r}") from None
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise DatasetError(f"{file}: found joints of shape {joints.shape}, expected (14, 3, N)")
    images = {path.stem: path for path in require(root / "images", "LSPET's pictures").iterdir()}
    persons = []
    for index in range(joints.shape[2]):
        image = images.get(f"im{index + 1:05d}")
        annotated = joints[:, :, index]
        present = np.zeros(NUM_JOINTS, np.bool_)
        present[list(LSP_TO_MPII)] = annotated[:, 2] > 0
        if image is None or present.sum() < 2:
            continue
        keypoints = np.zeros((NUM_JOINTS, 2), np.float32)
        keypoints[list(LSP_TO_MPII)] = annotated[:, :2]
        center, side = joints_crop(keypoints, present, CROP_PADDING)
        persons.append(
            Person(
                dataset="lspet",
                index=index,
                image=image,
                keypoints=keypoints,
                present=present,
                center=center,
                side=side,
                unit_px=torso_px(keypoints, present),
                held_out=index % HOLD_OUT_EVERY == HOLD_OUT_AT,
                others=np.zeros((0, 2), np.float32),
            )
        )
    return persons
