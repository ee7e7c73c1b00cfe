"""Leeds Sports Pose Extended (Johnson and Everingham, CVPR 2011): `joints.mat` and `images/`.

`joints` is (14, 3, 10000); its third column is 1 where a joint is annotated.
"""

from __future__ import annotations

from pathlib import Path

from training.datasets.base import Person, file_names, require, with_pictures
from training.datasets.lsp import lsp_person, read_joints

# The data set has no validation part of its own: every twentieth picture is ours for measuring.
HOLD_OUT_EVERY, HOLD_OUT_AT = 20, 9


def read_lspet(root: Path) -> list[Person]:
    """Read every annotated person.

    Raises:
        DatasetError: `joints.mat` is missing or does not hold (14, 3, N).
    """
    joints = read_joints(root, "LSPET", (14, 3))
    folder = require(root / "images", "LSPET's pictures")
    names = {Path(name).stem: name for name in file_names(folder)}
    persons = []
    for index in range(joints.shape[2]):
        stem = f"im{index + 1:05d}"
        image = folder / names.get(stem, f"{stem}.jpg")
        points, present = joints[:, :2, index], joints[:, 2, index] > 0
        held_out = index % HOLD_OUT_EVERY == HOLD_OUT_AT
        persons.append(lsp_person("lspet", index, image, points, present, held_out))
    return [person for person in persons if person is not None]


def load_lspet(root: Path) -> list[Person]:
    """Read every annotated person whose picture is there.

    Raises:
        DatasetError: see `read_lspet`.
    """
    return with_pictures(read_lspet(root))
