"""Pictures with one label each, in their owners' layouts: what a classifier learns from.

- cifar100: CIFAR-100 (Krizhevsky 2009), the binary version as it is unpacked: the files of
  `cifar-100-binary/`, in that folder or without it. A row of `train.bin` and `test.bin` is a
  coarse label, a fine label and 1024 bytes each of red, green and blue, line by line.
- imagenet: ImageNet (ILSVRC 2012) with a folder per class: `train/<wnid>/*.JPEG` and
  `val/<wnid>/*.JPEG`. Any pictures in folders work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.lookup import lookup
from edge_pose.types import Image
from training.datasets.base import DatasetError, require

Part: TypeAlias = Literal["train", "test"]

SIDE = 32  # px of a picture of CIFAR-100
PIXEL_BYTES = 3 * SIDE * SIDE
ROW_BYTES = 2 + PIXEL_BYTES
COARSE, FINE = 20, 100  # classes of CIFAR-100
IMAGENET_FOLDER = {"train": "train", "test": "val"}
SUFFIXES = (".jpeg", ".jpg", ".png")

# The test part is for the final figure only: every fiftieth training picture is ours for measuring.
HOLD_OUT_EVERY, HOLD_OUT_AT = 50, 24


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One picture and what it shows.

    Attributes:
        dataset: name in LABELLED.
        index: position within its part of the data set.
        image: file, or (H, W, 3) uint8 BGR.
        label: number of the class.
        held_out: for measuring only: the owners' test part, else a part of our own.
    """

    dataset: str
    index: int
    image: Path | Image
    label: int
    held_out: bool

    def pixels(self) -> Image:
        """Return the picture, (H, W, 3) uint8 BGR.

        Raises:
            DatasetError: the file is missing, damaged or cut off.
        """
        if isinstance(self.image, Path):
            return _decode(self.image)
        return np.ascontiguousarray(self.image)


@dataclass(frozen=True, slots=True)
class Classes:
    """A data set of labelled pictures.

    Attributes:
        names: of the classes, in the order of their labels.
        pictures: of one part.
    """

    names: tuple[str, ...]
    pictures: list[Labelled]


def load_labelled(name: str, data: Path, part: Part) -> Classes:
    """Read a part of the data set `name` from the folder `data/name`.

    Raises:
        UsageError: the name is unknown.
        DatasetError: files are missing or damaged, or there is no picture.
    """
    read = lookup(LABELLED, name, "data set for classifiers")
    return read(require(data / name, f"expected a folder with {', '.join(LABELLED)} in it"), part)


def read_cifar100(root: Path, part: Part) -> Classes:
    """Read the binary version.

    Raises:
        DatasetError: a file is missing or cut off, or a label is out of range.
    """
    inner = root / "cifar-100-binary"
    folder = inner if inner.is_dir() else root
    names_file = require(folder / "fine_label_names.txt", "the class names of CIFAR-100")
    names = tuple(names_file.read_text("utf-8", errors="replace").split())
    if len(names) != FINE:
        raise DatasetError(f"{names_file}: found {len(names)} class names, expected {FINE}")
    rows = _cifar_rows(require(folder / f"{part}.bin", "the binary version of CIFAR-100"))
    pixels = rows[:, 2:].reshape(-1, 3, SIDE, SIDE)[:, ::-1].transpose(0, 2, 3, 1)
    pictures = [
        Labelled("cifar100", index, image, int(label), _held_out(index, part))
        for index, (image, label) in enumerate(zip(pixels, rows[:, 1], strict=True))
    ]
    return Classes(names, pictures)


def _cifar_rows(file: Path) -> NDArray[np.uint8]:
    try:
        values = np.fromfile(file, np.uint8)
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror}") from None
    if not len(values) or len(values) % ROW_BYTES:
        raise DatasetError(
            f"{file}: found {len(values)} bytes, expected a multiple of {ROW_BYTES} (2 labels and"
            f" {PIXEL_BYTES} pixel bytes per picture), is it cut off?"
        )
    rows = values.reshape(-1, ROW_BYTES)
    wrong = np.flatnonzero((rows[:, 0] >= COARSE) | (rows[:, 1] >= FINE))
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            f"{file}: row {row} (byte {row * ROW_BYTES}): found labels {rows[row, 0]} and"
            f" {rows[row, 1]}, expected less than {COARSE} and {FINE}"
        )
    return rows


def read_imagenet(root: Path, part: Part) -> Classes:
    """List the pictures in a folder per class; the classes are those of `train`, sorted by name.

    Raises:
        DatasetError: a folder is missing or empty, or has a class that `train` does not have.
    """
    folder = require(root / IMAGENET_FOLDER[part], "expected a folder with a folder per class")
    train = root / IMAGENET_FOLDER["train"]
    names = _folders(train if train.is_dir() else folder)
    labels = {name: label for label, name in enumerate(names)}
    found: list[tuple[Path, int]] = []
    for name in _folders(folder):
        if name not in labels:
            raise DatasetError(f"{folder / name}: no class of {train}, which has {len(names)}")
        files = [p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES]
        found += [(file, labels[name]) for file in sorted(files)]
    if not found:
        raise DatasetError(f"{folder}: no picture in a folder per class, such as n01440764/x.JPEG")
    pictures = [
        Labelled("imagenet", index, file, label, _held_out(index, part))
        for index, (file, label) in enumerate(found)
    ]
    return Classes(names, pictures)


def _folders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def _held_out(index: int, part: Part) -> bool:
    return part == "test" or index % HOLD_OUT_EVERY == HOLD_OUT_AT


def _decode(file: Path) -> Image:
    """Decode a file; unlike `samples.read_image` it keeps nothing, ImageNet fills no memory."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DatasetError(
            f"{file}: found {len(data)} bytes, not a whole picture that OpenCV can decode"
        )
    return np.asarray(image, np.uint8)


LABELLED: dict[str, Callable[[Path, Part], Classes]] = {
    "cifar100": read_cifar100,
    "imagenet": read_imagenet,
}
"""Name -> function that reads a part of a data set."""
