"""Label cleaning: compare labels with what teachers see, and say what looks wrong.

Crowd labels (LSPET) mistake a back for a front, so that left and right of all of the body are
swapped, or are far off. Per joint a label is kept, swapped with its partner, or dropped; only on
request it is moved to where the teacher sees the joint. A label falls only where the teacher is
confident, that is where it agrees with itself on the mirrored picture. Of several teachers each
must find the same on its own; a later one is asked only where the earlier ones found something.
How often they are wrong themselves shows a data set with good labels (MPII's training persons).

A teacher that was trained on a person's labels tends to confirm them, right or wrong. That errs on
the side of keeping. A peer that never saw the data set is free of that; or train two teachers on a
half of the data each and give both with `unseen_only`: each person is judged by the other half's.

Distances are in units of the larger of two torsos (shoulder to opposite hip), the label's and the
teacher's, and at least a fifth of the crop's side: a torso that points at the camera is short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import Progress

from edge_pose.preprocess import Region, apply_affine, crop, invert_affine, region_affine
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image
from training.checkpoint import unpack_persons
from training.datasets.base import NUM_JOINTS, Person, torso_px
from training.samples import MIRROR, read_image
from training.teaching.corrections import Correction, apply_corrections
from training.teaching.teachers import Teacher

TURNS_DEG = (90.0, 180.0, 270.0)
AGREEMENT = 0.05  # of the crop's side: this far apart from their mean, views lose 40 % confidence
LEAST_UNIT = 0.2  # of the crop's side

Mask = NDArray[np.bool_]


class CleanOptions(BaseModel):
    """When a label is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: float = Field(0.4, ge=0, le=1, description="least confidence of a teacher")
    far: float = Field(0.5, gt=0, description="units: a label that far off is wrong")
    near: float = Field(0.25, gt=0, description="units: swapped labels must fit that well")
    least_pairs: int = Field(3, ge=1, description="pairs that must look swapped to swap a body")
    swaps_only: bool = Field(False, description="change sides, leave all places")
    replace: bool = Field(False, description="move labels to the first teacher's place")
    unseen_only: bool = Field(False, description="ask only teachers not trained on the person")
    turn_below: float = Field(
        0.6, ge=0, le=1, description="mean confidence below which turned pictures are tried"
    )


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What a cleaning found.

    Attributes:
        dataset: name.
        teachers: what judged.
        n_persons: persons judged; held-out ones are not.
        n_joints: their annotated joints.
        judged: annotated joints of which the first teacher was confident, by joint.
        labels: annotated joints, by joint.
        actions: joints by action, by joint.
        persons_changed: persons with a correction.
        corrections: all of them, by person.
    """

    dataset: str
    teachers: tuple[str, ...]
    n_persons: int
    n_joints: int
    labels: dict[str, int]
    judged: dict[str, int]
    actions: dict[str, dict[str, int]]
    persons_changed: int
    corrections: tuple[Correction, ...]

    def summary(self) -> dict[str, Any]:
        """Return everything but the corrections, with shares in percent; JSON-ready."""
        values = asdict(replace(self, corrections=()))
        del values["corrections"]
        total = Counter(correction.action for correction in self.corrections)
        joints, persons = max(self.n_joints, 1), max(self.n_persons, 1)
        values["joints_percent"] = {k: round(100 * n / joints, 2) for k, n in sorted(total.items())}
        values["judged_percent"] = round(100 * sum(self.judged.values()) / joints, 2)
        values["persons_changed_percent"] = round(100 * self.persons_changed / persons, 2)
        return values


def clean(
    persons: Sequence[Person],
    teachers: Sequence[Teacher],
    options: CleanOptions,
    progress: Progress | None = None,
) -> CleanReport:
    """Judge the labels of a data set's persons that are not held out.

    Args:
        persons: of one data set.
        teachers: at least one.
        options: when a label is wrong.
        progress: shows a bar.
    """
    seen = [{k: unpack_persons(v) for k, v in t.trained_on.items()} for t in teachers]
    corrections: list[Correction] = []
    labels, judged, n_persons = np.zeros(NUM_JOINTS, int), np.zeros(NUM_JOINTS, int), 0
    trained = [person for person in persons if not person.held_out]
    bar = progress.add_task("cleaning", total=len(trained)) if progress else None
    for person in trained:
        asked = [
            teacher
            for teacher, known in zip(teachers, seen, strict=True)
            if not options.unseen_only or person.index not in known.get(person.dataset, ())
        ]
        if asked:
            points, confidence = look(person, asked[0], options.turn_below)
            found = decide(person, points, confidence, options)
            for teacher in asked[1:]:
                found = found and _confirmed(found, person, teacher, options)
            corrections += found
            n_persons += 1
            labels += person.present
            judged += person.present & (confidence >= options.gate)
        if progress and bar is not None:
            progress.advance(bar)
    return _report(persons, teachers, corrections, n_persons, labels, judged)


def look(person: Person, teacher: Teacher, turn_below: float) -> tuple[FloatArray, FloatArray]:
    """Ask a teacher where a person's joints are: straight, and turned where that is not convincing.

    Returns:
        keypoints (16, 2) in source px, and the confidence (16,) in [0, 1].
    """
    image = read_image(person.image)
    best = _view(person, image, teacher, 0.0)
    if best[1][teacher.knows].mean() >= turn_below:
        return best
    views = [best, *(_view(person, image, teacher, turn) for turn in TURNS_DEG)]
    return max(views, key=lambda view: float(view[1][teacher.knows].mean()))


def consensus(
    points: FloatArray, scores: FloatArray, spread_px: float
) -> tuple[FloatArray, FloatArray]:
    """Join several views of the same joints.

    Args:
        points: (V, K, 2) px.
        scores: (V, K) in [0, 1].
        spread_px: views that lie this far from their mean (root mean square) count exp(-1/2).

    Returns:
        the mean (K, 2) weighted by scores, and the confidence (K,): mean score times agreement.
    """
    weights = np.maximum(scores, 1e-6)
    mean = (points * weights[..., None]).sum(axis=0) / weights.sum(axis=0)[:, None]
    square = ((points - mean) ** 2).sum(axis=2).mean(axis=0)
    confidence = scores.mean(axis=0) * np.exp(-square / (2 * spread_px**2))
    return mean.astype(np.float32), confidence.astype(np.float32)


def decide(
    person: Person, points: FloatArray, confidence: FloatArray, options: CleanOptions
) -> list[Correction]:
    """Compare one person's labels with a teacher's (16, 2) joints and its (16,) confidence."""
    labels = person.keypoints
    sure = person.present & (confidence >= options.gate)
    torsos = (torso_px(labels, person.present), torso_px(points, confidence >= options.gate))
    unit = float(np.nanmax([*torsos, LEAST_UNIT * person.side]))
    own = np.linalg.norm(labels - points, axis=1) / unit
    crossed = np.linalg.norm(labels - points[MIRROR], axis=1) / unit
    sides = _wrong_sides(person.present, sure, own, crossed, options)
    paired = sides & person.present[MIRROR]
    # Near the other side's label or the teacher's other side it is a question of sides, not of
    # places, and of one joint a teacher sees the side less well than the place.
    beside = np.linalg.norm(labels[MIRROR] - points, axis=1) / unit
    beside = np.where(person.present[MIRROR], np.minimum(crossed, beside), np.inf)
    far = sure & ~sides & (np.minimum(own, beside) > options.far)
    if options.swaps_only or 2 * far.sum() > sure.sum():  # more than half: it is somebody else
        far[:] = False
    place = np.where(sure[:, None], points, labels)
    place[paired] = labels[MIRROR[paired]]
    lost: Literal["drop", "replace"] = "replace" if options.replace else "drop"
    return [
        Correction(
            index=person.index,
            joint=MPII16.keypoints[joint],
            # A label without a partner to swap with is of the wrong side, too.
            action="swap" if paired[joint] else "drop" if sides[joint] else lost,
            old=_xy(labels[joint]),
            new=_xy(place[joint]),
            distance=round(float(own[joint]), 3),
            confidence=round(float(confidence[joint]), 3),
        )
        for joint in np.flatnonzero(sides | far)
    ]


def _wrong_sides(
    present: Mask, sure: Mask, own: FloatArray, crossed: FloatArray, options: CleanOptions
) -> Mask:
    """Return (16,) which labels are of the wrong side: all of a body labelled the wrong way.

    Who mistakes a back for a front does so for all of the body, and a teacher that mistakes limbs
    of one side for the other's mistakes some: so all pairs that tell must say the same.
    """
    votes, against = 0, 0
    for a, b in MPII16.flip_pairs:
        pair = [a, b]
        if not sure[pair].all():
            continue
        if crossed[pair].max() <= options.near < own[pair].min():
            votes += 1
        elif crossed[pair].sum() - own[pair].sum() > options.near:
            against += 1
    has_side = np.arange(NUM_JOINTS) != MIRROR
    wrong: Mask = present & has_side
    return wrong if votes >= options.least_pairs and not against else np.zeros_like(wrong)


def _report(
    persons: Sequence[Person],
    teachers: Sequence[Teacher],
    corrections: Sequence[Correction],
    n_persons: int,
    labels: NDArray[np.int_],
    judged: NDArray[np.int_],
) -> CleanReport:
    actions: dict[str, Counter[str]] = {name: Counter() for name in MPII16.keypoints}
    for correction in corrections:
        actions[correction.joint][correction.action] += 1
    return CleanReport(
        dataset=persons[0].dataset if persons else "",
        teachers=tuple(teacher.name for teacher in teachers),
        n_persons=n_persons,
        n_joints=int(labels.sum()),
        labels=_by_joint(labels),
        judged=_by_joint(judged),
        actions={name: dict(count) for name, count in actions.items() if count},
        persons_changed=len({correction.index for correction in corrections}),
        corrections=tuple(corrections),
    )


def _confirmed(
    found: list[Correction], person: Person, teacher: Teacher, options: CleanOptions
) -> list[Correction]:
    own = decide(person, *look(person, teacher, options.turn_below), options)
    same = {(correction.joint, correction.action) for correction in own}
    return [correction for correction in found if (correction.joint, correction.action) in same]


def _view(
    person: Person, image: Image, teacher: Teacher, turn_deg: float
) -> tuple[FloatArray, FloatArray]:
    size = teacher.input_size
    straight = replace(person, side=person.side * teacher.crop_factor).region(size)
    region = Region(straight.center, straight.size, turn_deg)
    matrices = [region_affine(region, size, mirror=mirror) for mirror in (False, True)]
    found, scores = teacher.keypoints(np.stack([crop(image, m, size) for m in matrices]))
    points = np.stack(
        [apply_affine(k, invert_affine(m)) for k, m in zip(found, matrices, strict=True)]
    )
    points[1], scores[1] = points[1, MIRROR], scores[1, MIRROR]
    return consensus(points, scores, AGREEMENT * person.side)


def _by_joint(counts: NDArray[np.int_]) -> dict[str, int]:
    return {name: int(n) for name, n in zip(MPII16.keypoints, counts, strict=True)}


def _xy(point: FloatArray) -> tuple[float, float]:
    return round(float(point[0]), 1), round(float(point[1]), 1)


__all__ = ["CleanOptions", "CleanReport", "apply_corrections", "clean", "consensus", "decide"]
