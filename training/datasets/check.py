"""What lies in a data folder: which data sets, how many people, and which pictures are damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_pose.skeleton import MPII16
from training.datasets import DATASETS
from training.datasets.base import DatasetError, Person, file_names
from training.datasets.mpii import ANNOTATIONS
from training.datasets.mpii_release import find_release

QUICK_PICTURES = 200
OUTSIDE_PX = 1.0  # MATLAB counts pixels from 1: the last one lies one px outside for us
JPEG_START, JPEG_END, JPEG_TAIL = b"\xff\xd8", b"\xff\xd9", 1024  # bytes at the end to look at
EXPECTED = "expected mpii/, lsp/, lspet/, flic/ or coco/ as their owners give them"

Progress = Callable[[int, int], None]
"""Called with the number of pictures looked at and the number to look at."""


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What was found in one folder.

    Attributes:
        dataset: name in training.datasets.DATASETS.
        folder: where it is.
        error: why the annotations cannot be used, one line; empty where they can.
        pictures: annotated pictures that are there.
        missing: annotated pictures that are not there.
        decoded: pictures that were decoded; fewer than `pictures` in a quick check.
        damaged: pictures that cannot be used, "path: what is wrong".
        persons_train: people whose picture is there, for training.
        persons_held_out: the same, for measuring only.
        joints_per_person: mean number of annotated joints, of MPII's sixteen.
        outside: joints annotated outside of their picture, "person 7: left_wrist at …".
        contact_sheet: the picture of some of the people; None where none was asked for.
    """

    dataset: str
    folder: Path
    error: str = ""
    pictures: int = 0
    missing: int = 0
    decoded: int = 0
    damaged: tuple[str, ...] = ()
    persons_train: int = 0
    persons_held_out: int = 0
    joints_per_person: float = 0.0
    outside: tuple[str, ...] = ()
    contact_sheet: Path | None = None

    @property
    def ok(self) -> bool:
        """True where training can use the folder as it is."""
        return not self.error and not self.damaged and self.persons_train > 0


@dataclass(frozen=True, slots=True)
class _Options:
    out: Path | None
    quick: bool
    people: int
    seed: int
    progress: Progress | None


def check(
    folder: Path,
    *,
    out: Path | None = None,
    quick: bool = False,
    people: int = 24,
    seed: int = 1,
    progress: Progress | None = None,
) -> list[DatasetReport]:
    """Look at every data set in a folder; a damaged one does not keep the others from it.

    A picture counts as damaged when OpenCV cannot decode it or when a JPEG file ends early. A JPEG
    with wrong bytes in its middle decodes to wrong colours, and nobody but a person sees that.

    Args:
        folder: one data set, or the folder with several of them.
        out: folder for a contact sheet per data set; none is drawn without it.
        quick: decode a sample of QUICK_PICTURES per data set only.
        people: on a contact sheet, chosen at random.
        seed: of the choices.
        progress: told how far it is, data set by data set.

    Raises:
        DatasetError: there is no such folder, or no data set in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder, {EXPECTED}")
    found = find_datasets(folder)
    if not found:
        raise DatasetError(f"{folder}: no data set in it, {EXPECTED}")
    options = _Options(out, quick, people, seed, progress)
    return [_check(name, place, options) for name, place in found]


def find_datasets(folder: Path) -> list[tuple[str, Path]]:
    """Return (data set, folder) of `folder` itself, else of the folders in it."""
    own = recognise(folder)
    if own:
        return [(own, folder)]
    inside = [(recognise(place), place) for place in sorted(folder.iterdir()) if place.is_dir()]
    return [(name, place) for name, place in inside if name]


def recognise(folder: Path) -> str:
    """Return the data set that a folder's files are of, else that it is named after, else ""."""
    if (folder / ANNOTATIONS).is_file() or find_release(folder):
        return "mpii"
    if (folder / "examples.mat").is_file():
        return "flic"
    if any((folder / "annotations").glob("person_keypoints_*.json")):
        return "coco"
    if (folder / "joints.mat").is_file():
        return _lsp_or_lspet(folder / "joints.mat")
    return folder.name if folder.name in DATASETS else ""


def _lsp_or_lspet(file: Path) -> str:
    """Tell the two by the order of their axes, by the folder's name where the file is damaged."""
    from scipy.io import whosmat

    try:
        shapes = {name: shape for name, shape, _ in whosmat(file)}
    except Exception:  # noqa: BLE001 - what a damaged file raises shares no base class
        return "lsp" if file.parent.name == "lsp" else "lspet"
    return "lsp" if shapes.get("joints", ())[:2] == (3, 14) else "lspet"


def picture_size(path: Path) -> tuple[int, int] | str:
    """Decode a picture; returns its (w, h) px or what is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not data:
        return "is empty"
    if data.startswith(JPEG_START) and JPEG_END not in data[-JPEG_TAIL:]:
        return "is cut off, download it again"
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        return "is not a picture that OpenCV can decode"
    return image.shape[1], image.shape[0]


def _check(name: str, folder: Path, options: _Options) -> DatasetReport:
    try:
        everybody = DATASETS[name](folder)
    except DatasetError as error:
        return DatasetReport(name, folder, error=str(error))
    rng = np.random.default_rng(options.seed)
    annotated = sorted({person.image for person in everybody})
    names = {place: file_names(place) for place in {path.parent for path in annotated}}
    pictures = [path for path in annotated if path.name in names[path.parent]]
    there = set(pictures)
    persons = [person for person in everybody if person.image in there]
    looked_at = pictures
    if options.quick and len(pictures) > QUICK_PICTURES:
        chosen = rng.choice(len(pictures), QUICK_PICTURES, replace=False)
        looked_at = [pictures[i] for i in sorted(chosen)]
    results = _decode(looked_at, options.progress)
    sizes = {path: size for path, size in results.items() if not isinstance(size, str)}
    usable = [person for person in persons if person.image in sizes]
    return DatasetReport(
        dataset=name,
        folder=folder,
        pictures=len(pictures),
        missing=len(annotated) - len(pictures),
        decoded=len(looked_at),
        damaged=tuple(f"{p}: {why}" for p, why in results.items() if isinstance(why, str)),
        persons_train=sum(not person.held_out for person in persons),
        persons_held_out=sum(person.held_out for person in persons),
        joints_per_person=float(np.mean([p.present.sum() for p in persons])) if persons else 0.0,
        outside=tuple(line for person in usable for line in _outside(person, sizes[person.image])),
        contact_sheet=_contact_sheet(name, usable, options, rng),
    )


def _contact_sheet(
    name: str, persons: Sequence[Person], options: _Options, rng: np.random.Generator
) -> Path | None:
    if options.out is None or not persons or options.people < 1:
        return None
    from training.pictures.sheets import truth_sheet

    chosen = [persons[i] for i in rng.permutation(len(persons))[: options.people]]
    title = f"{name}: {len(chosen)} of {len(persons)} people"
    return truth_sheet(chosen, options.out / f"{name}.png", title=title)


def _decode(
    pictures: Sequence[Path], progress: Progress | None
) -> dict[Path, tuple[int, int] | str]:
    results = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in zip(pictures, pool.map(picture_size, pictures), strict=True):
            results[path] = result
            if progress is not None:
                progress(len(results), len(pictures))
    return results


def _outside(person: Person, size: tuple[int, int]) -> list[str]:
    far = (person.keypoints < -OUTSIDE_PX) | (person.keypoints > np.array(size) - 1 + OUTSIDE_PX)
    return [
        f"person {person.index}: {MPII16.keypoints[joint]} at"
        f" ({person.keypoints[joint, 0]:.0f}, {person.keypoints[joint, 1]:.0f}),"
        f" {person.image.name} has {size[0]}×{size[1]} px"
        for joint in np.flatnonzero(far.any(axis=1) & person.present)
    ]
