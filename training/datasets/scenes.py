"""Whole pictures with everybody in them: what bottom-up networks learn from and are measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from edge_pose.skeleton import COCO17, MPII16, KeypointFormat, keypoint_format
from edge_pose.types import FloatArray
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.base import NUM_JOINTS, require
from training.datasets.boxes import (
    JOINTS_PADDING,
    SHIPPED,
    Picture,
    labelled_picture,
    read_labels,
    uncovered,
)
from training.datasets.coco import CocoPicture, coco_pictures
from training.datasets.mpii import ANNOTATIONS
from training.datasets.mpii_release import find_release, read_release
from training.teaching.corrections import apply_corrections

# MPII and LSPET know no areas: about half of a box around a person is the person (the share that
# CrowdPose's evaluation uses, too), and the box reaches beyond the joints on every side.
AREA_SHARE = 0.53
BOX_MARGIN = 0.1
PERSON_BOX_MARGIN = 0.2  # LSPET says nothing of what lies farther from the person than this
FAR_PX = 1e4  # beyond any picture
SAME_PX = 1.0  # two annotations with no joint farther apart are one person


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Places of a picture in which people may be that nobody annotated.

    Attributes:
        boxes: (B, 4) float32 px, x1 y1 x2 y2.
        area_px2: (B,) float32, as in Scene.
        crowd: (B,) bool, True where it may be more than one person.
    """

    boxes: FloatArray
    area_px2: FloatArray
    crowd: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture and the people in it.

    Attributes:
        dataset: "mpii", "lspet", "lsp", "flic" or "coco".
        indices: positions in the annotation file (COCO: ids) of those who are entries of it; of
            no crowds.
        image: file.
        keypoints: (P, K, 2) float32 px; arbitrary where not present.
        present: (P, K) bool, True where annotated.
        area_px2: (P,) float32, the person's area as OKS wants it.
        unit_px: (P,) float32, PCK's unit; NaN where it is not annotated.
        unlabelled: places of which the annotations say nothing.
        held_out: for measuring only.
        labels: everybody whom a teacher found, where a label file knows the picture (see
            training.datasets.boxes).
    """

    dataset: str
    indices: tuple[int, ...]
    image: Path
    keypoints: FloatArray
    present: NDArray[np.bool_]
    area_px2: FloatArray
    unit_px: FloatArray
    unlabelled: Unlabelled
    held_out: bool
    labels: Picture | None = None

    def unlabelled_in(self, width: int) -> FloatArray:
        """Return (B, 4) px of a file that is `width` px wide: unlabelled places and bystanders.

        Bystanders are people of the labels who are not annotated.
        """
        if self.labels is None:
            return self.unlabelled.boxes
        boxes, ignore = self.labels.scaled(width)
        people = joint_boxes(self.keypoints, self.present, JOINTS_PADDING)
        bystanders = uncovered(boxes, ignore, people[self.present.any(axis=1)])
        return np.concatenate([self.unlabelled.boxes, bystanders])


@dataclass(frozen=True, slots=True)
class _Source:
    """What to load, see load_scenes."""

    data: Path
    keypoints: KeypointFormat
    corrections: Path | None
    labels: Path

    def correct(self, persons: list[Person]) -> list[Person]:
        return apply_corrections(persons, self.corrections) if self.corrections else persons


def load_scenes(
    name: str,
    data: Path,
    keypoints: str = "mpii16",
    *,
    corrections: Path | None = None,
    labels: Path = SHIPPED,
) -> list[Scene]:
    """Read data set `name` from the folder `data/name`, with the joints of a keypoint format.

    Args:
        name: of the data set.
        data: folder with the data sets.
        keypoints: name of the format.
        corrections: file of training.teaching.corrections to apply; not for COCO.
        labels: file of training.datasets.boxes: who else is in MPII's pictures.

    Raises:
        UsageError: the name of the data set or of the format is unknown, or it takes no
            corrections.
        DatasetError: the folder is missing, damaged or has nobody in it, or a file is of no use.
    """
    load = lookup(_LOADERS, name, "data set of whole pictures")
    require(data / name, f"expected a folder with {', '.join(_LOADERS)} in it")
    scenes = load(_Source(data, keypoint_format(keypoints), corrections, labels))
    if not scenes:
        raise DatasetError(f"{data / name}: no annotated person whose picture is there")
    return scenes


def joint_boxes(
    keypoints: FloatArray, present: NDArray[np.bool_], margin: float = BOX_MARGIN
) -> FloatArray:
    """Return (P, 4) boxes around the present joints, larger by `margin` of the longer side.

    Args:
        keypoints: (P, K, 2) px.
        present: (P, K); a person without any gets a box of size 0.
        margin: on every side.
    """
    some = present.any(axis=1, keepdims=True)
    low = np.where(some, np.where(present[..., None], keypoints, np.inf).min(axis=1), 0.0)
    high = np.where(some, np.where(present[..., None], keypoints, -np.inf).max(axis=1), 0.0)
    grow = margin * (high - low).max(axis=1, keepdims=True)
    return np.concatenate([low - grow, high + grow], axis=1).astype(np.float32)


def box_areas(boxes: FloatArray) -> FloatArray:
    """Return the (P,) areas of the people in (P, 4) boxes, px², for OKS."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    areas: FloatArray = (AREA_SHARE * sides.prod(axis=1)).astype(np.float32)
    return areas


def scene_hash(scenes: Iterable[Scene]) -> str:
    """Return a SHA-256 over the annotations of `scenes`."""
    digest = hashlib.sha256()
    for scene in scenes:
        digest.update(f"{scene.dataset}/{scene.indices}/{scene.image.name}".encode())
        digest.update(scene.keypoints.tobytes() + scene.present.tobytes())
        digest.update(scene.unlabelled.boxes.tobytes())
        if scene.labels is not None:
            digest.update(scene.labels.boxes.tobytes() + scene.labels.ignore.tobytes())
    return digest.hexdigest()


def _load_mpii(source: _Source) -> list[Scene]:
    """Put everybody of a picture together: as an entry, or as another person of an entry."""
    root = source.data / "mpii"
    persons = {person.index: person for person in load_dataset("mpii", source.data)}
    corrected = {person.index: person for person in source.correct(list(persons.values()))}
    others = _listed_people(root) if (root / ANNOTATIONS).is_file() else _released_people(root)
    _, known = read_labels(source.labels)
    scenes = []
    for image, indices in _pictures(persons).items():
        entries = [persons[i] for i in indices]
        everybody = _everybody(entries, corrected, others.get(image.name, []))
        if not everybody:
            continue
        points = np.stack([joints for joints, _ in everybody])
        xy, present = _convert(points[..., :2], points[..., 2] > 0, MPII16, source.keypoints)
        gone = np.array([_marked(p) for p in entries if p.index not in corrected], np.float32)
        gone = gone.reshape(-1, NUM_JOINTS, 3)
        scenes.append(
            Scene(
                dataset="mpii",
                indices=tuple(indices),
                image=image,
                keypoints=xy,
                present=present,
                area_px2=box_areas(joint_boxes(xy, present)),
                unit_px=np.array([unit for _, unit in everybody], np.float32),
                unlabelled=_unlabelled(joint_boxes(gone[..., :2], gone[..., 2] > 0)),
                # One validation person makes the whole picture one of validation.
                held_out=any(person.held_out for person in entries),
                labels=labelled_picture(entries, known),
            )
        )
    return scenes


def _everybody(
    entries: list[Person], corrected: dict[int, Person], others: list[FloatArray]
) -> list[tuple[FloatArray, float]]:
    """Return (16, 3) joints and the unit of everybody of a picture once, entries as corrected."""
    everybody: list[tuple[FloatArray, float]] = []
    seen: list[FloatArray] = []  # as annotated: the lists of others know no corrections
    for entry in entries:
        joints = _marked(entry)
        if not any(_same(joints, other) for other in seen):
            seen.append(joints)
            if entry.index in corrected:
                everybody.append((_marked(corrected[entry.index]), entry.unit_px))
    for joints in others:
        if joints[:, 2].any() and not any(_same(joints, other) for other in seen):
            seen.append(joints)
            everybody.append((joints, float("nan")))
    return everybody


def _pictures(persons: dict[int, Person]) -> dict[Path, list[int]]:
    pictures: dict[Path, list[int]] = {}
    for index, person in persons.items():
        pictures.setdefault(person.image, []).append(index)
    return pictures


def _listed_people(root: Path) -> dict[str, list[FloatArray]]:
    """Return (16, 3) joints x, y, present of the `joint_others` by picture name, with repeats."""
    people: dict[str, list[FloatArray]] = {}
    try:
        for entry in json.loads((root / ANNOTATIONS).read_text("utf-8")):
            others = entry.get("joint_others")
            # MATLAB's export writes nobody as an object and one person as a flat list.
            joints = np.array(others if isinstance(others, list) else [], np.float32)
            joints = joints.reshape(-1, NUM_JOINTS, 3)
            joints[..., 2] = (joints[..., :2] > 0).all(axis=-1)
            people.setdefault(entry["img_paths"], []).extend(joints)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{root / ANNOTATIONS}: not MPII annotations: {error!r}") from None
    return people


def _released_people(root: Path) -> dict[str, list[FloatArray]]:
    """Return the same of the owners' release: everybody."""
    release = find_release(root)
    people: dict[str, list[FloatArray]] = {}
    for a in read_release(release) if release else ():
        joints = np.concatenate([a.joints, a.present[:, None]], axis=1).astype(np.float32)
        people.setdefault(a.name, []).append(joints)
    return people


def _marked(person: Person) -> FloatArray:
    marked: FloatArray = np.concatenate([person.keypoints, person.present[:, None]], axis=1)
    return marked.astype(np.float32)


def _same(one: FloatArray, other: FloatArray) -> bool:
    """Compare the joints that both have; people without a joint in common are two."""
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    return bool(both.any() and np.abs(one[both] - other[both]).max() <= SAME_PX)


def _convert(
    xy: FloatArray, present: NDArray[np.bool_], source: KeypointFormat, wanted: KeypointFormat
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Reorder (P, K, 2) and (P, K) by the joints' names; what the source lacks is not present."""
    table = {name: i for i, name in enumerate(source.keypoints)}
    columns = np.array([table.get(name, -1) for name in wanted.keypoints])
    return np.ascontiguousarray(xy[:, columns]), present[:, columns] & (columns >= 0)


def _load_single(name: str, source: _Source) -> list[Scene]:
    """Data sets that annotate one person of a picture, or do not say who else is in it."""
    scenes = []
    for person in source.correct(load_dataset(name, source.data)):
        xy, present = _convert(
            person.keypoints[None], person.present[None], MPII16, source.keypoints
        )
        if not present.any():
            continue
        near = joint_boxes(xy, present, PERSON_BOX_MARGIN)[0]
        scenes.append(
            Scene(
                dataset=name,
                indices=(person.index,),
                image=person.image,
                keypoints=xy,
                present=present,
                area_px2=box_areas(joint_boxes(xy, present)),
                unit_px=np.array([person.unit_px], np.float32),
                unlabelled=_unlabelled(_outside(near)),
                held_out=person.held_out,
            )
        )
    return scenes


def _unlabelled(boxes: FloatArray) -> Unlabelled:
    return Unlabelled(boxes, box_areas(boxes), np.ones(len(boxes), np.bool_))


def _outside(box: FloatArray) -> FloatArray:
    """Return four boxes that cover everything but one."""
    x1, y1, x2, y2 = box.tolist()
    return np.array(
        [
            [-FAR_PX, -FAR_PX, FAR_PX, y1],
            [-FAR_PX, y2, FAR_PX, FAR_PX],
            [-FAR_PX, y1, x1, y2],
            [x2, y1, FAR_PX, y2],
        ],
        np.float32,
    )


def _load_coco(source: _Source) -> list[Scene]:
    """Read the pictures that are there and have somebody with keypoints in them."""
    if source.corrections:
        raise UsageError(f"corrections: {source.corrections}: not for whole pictures of coco")
    root, scenes = source.data / "coco", []
    for picture in coco_pictures(root):
        try:
            scene = _coco_scene(picture, source.keypoints)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{root}: {picture.image.name}: damaged entry: {error!r}") from None
        if scene.present.any():
            scenes.append(scene)
    return scenes


def _coco_scene(picture: CocoPicture, keypoints: KeypointFormat) -> Scene:
    points, boxes, crowd = picture.keypoints, picture.boxes, picture.crowd
    xy, present = _convert(points[..., :2], points[..., 2] > 0, COCO17, keypoints)
    person = present.any(axis=1) & ~crowd
    area = np.array([entry["area"] for entry in picture.entries], np.float32)
    return Scene(
        dataset="coco",
        indices=picture.indices,
        image=picture.image,
        keypoints=xy[person],
        present=present[person],
        area_px2=area[person],
        unit_px=np.full(int(person.sum()), np.nan, np.float32),
        unlabelled=Unlabelled(boxes[~person], area[~person], crowd[~person]),
        held_out=picture.held_out,
    )


_LOADERS: dict[str, Callable[[_Source], list[Scene]]] = {
    "mpii": _load_mpii,
    "coco": _load_coco,
    **{name: partial(_load_single, name) for name in ("lspet", "lsp", "flic")},
}
