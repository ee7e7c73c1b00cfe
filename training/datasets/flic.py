"""Frames Labeled In Cinema (Sapp and Taskar, CVPR 2013): `examples.mat` and `images/`.

`examples` is a struct array with `filepath`, `coords` (2, 29; NaN where not annotated), `torsobox`
(x1, y1, x2, y2), `istrain` and `istest`. FLIC-full has the same layout; its frames that are in
neither part are left out, as its owners ask.

Of FLIC's joints eight are MPII's: shoulders, elbows, wrists and hips, named from the person's own
point of view. Eyes and nose only say where the head is, so that the crop holds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_pose.skeleton import MPII16
from training.datasets.base import (
    NUM_JOINTS,
    DatasetError,
    Person,
    as_list,
    joints_crop,
    read_mat,
    require,
    torso_px,
)

COLUMNS = 29
# Columns of `coords`, from 0 (the owners' lookupPart counts from 1).
JOINTS = {
    "left_shoulder": 0,
    "left_elbow": 1,
    "left_wrist": 2,
    "right_shoulder": 3,
    "right_elbow": 4,
    "right_wrist": 5,
    "left_hip": 6,
    "right_hip": 9,
}
FACE = (12, 13, 16)  # left eye, right eye, nose
_TO = [MPII16.index(name) for name in JOINTS]
_FROM = list(JOINTS.values())
CROP_PADDING = 1.4
MIN_JOINTS = 2


def read_flic(root: Path) -> list[Person]:
    """Read every person of the training and the test part; the latter are `held_out`.

    Raises:
        DatasetError: `examples.mat` is missing, damaged or not FLIC's.
    """
    file = require(root / "examples.mat", "expected FLIC's layout: it and images/")
    images = require(root / "images", "FLIC's pictures")
    values = read_mat(file, "FLIC", squeeze=True)
    try:
        persons = [
            _person(index, example, images)
            for index, example in enumerate(as_list(values["examples"]))
            if bool(example.istrain) or bool(example.istest)
        ]
    except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise DatasetError(f"{file}: not FLIC annotations: {error!r}") from None
    return [person for person in persons if person is not None]


def _person(index: int, example: Any, images: Path) -> Person | None:  # noqa: ANN401 - MATLAB's
    coords = np.asarray(example.coords, np.float32).reshape(2, COLUMNS).T
    keypoints = np.zeros((NUM_JOINTS, 2), np.float32)
    present = np.zeros(NUM_JOINTS, np.bool_)
    present[_TO] = np.isfinite(coords[_FROM]).all(axis=1)
    keypoints[_TO] = np.nan_to_num(coords[_FROM])
    if present.sum() < MIN_JOINTS:
        return None
    torso = np.asarray(example.torsobox, np.float32).reshape(-1, 2)
    body = np.concatenate([keypoints[present], coords[list(FACE)], torso])
    center, side = joints_crop(body, np.isfinite(body).all(axis=1), CROP_PADDING)
    return Person(
        dataset="flic",
        index=index,
        image=images / str(example.filepath),
        keypoints=keypoints,
        present=present,
        center=center,
        side=side,
        unit_px=torso_px(keypoints, present),
        held_out=bool(example.istest),
        others=np.zeros((0, 2), np.float32),
    )
