"""The gate of person detectors.

Both networks get the same whole pictures, which no training saw. Only some of the people in them
are annotated, so that false finds do not show in accuracy; they show in agreement.

- Accuracy: recall of the annotated people by boxes that a device would take.
- Agreement: every box that one of the networks is sure of is looked for among the other's, at an
  overlap of 0.5; the share that is found, in the worse of both directions: boxes that are lost do
  not make up for invented ones, and each has its share in the report. Drift and scores: corners
  and scores of the same boxes.
- A checkpoint that is sure of too few boxes is no reason to pass: then what counts is the best box
  of every picture, however low its score: its centre stays within one heatmap px. The artifact's
  is compared with the nearest of the checkpoint's boxes whose scores are nearly as high.
- Whatever they find, each map must correlate with the checkpoint's and be of its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from converters.data import GENERATED, ConversionData
from converters.gates.base import Limits
from converters.gates.judge import (
    Comparison,
    People,
    Score,
    check_sound,
    joined_hash,
    judge,
    missing,
    within,
    worst_way,
)
from converters.gates.maps import NEARLY, compare_maps
from converters.gates.scores import ScorePairs
from converters.gates.views import Views
from converters.gates.watch import Watch
from converters.steps import Tick, silent
from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.decoding.centers import decode_centers
from edge_pose.manifest import Gate
from edge_pose.preprocess import apply_affine, invert_affine, to_tensor
from edge_pose.types import FloatArray
from edge_pose.whole_picture import clip_boxes
from training.bottom_up.evaluate import match_people
from training.checkpoint import CheckpointInfo
from training.datasets import Person
from training.datasets.boxes import box_iou, by_picture
from training.detection.detectors import Boxes
from training.detection.evaluate import IOU, SCORE, hits
from training.evaluate import data_hash
from training.predictors import ArtifactPredictor, Network, NetworkPredictor

HALF_SURE = 0.5 * SCORE  # of the boxes among which the other network's are looked for
MIN_BOXES = 50  # sure finds of the checkpoint; with fewer the best boxes decide
KEPT_BOXES = 100  # per picture, whatever their scores


@dataclass(frozen=True, slots=True)
class Same:
    """The boxes that a network is sure of, and what the other one makes of them.

    Attributes:
        found: (M,) whether the other network has it.
        corners_px: (found, 2) px between the top left and the bottom right corners.
        scores: (found, 2) of the one and of the other network.
    """

    found: NDArray[np.bool_]
    corners_px: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class Drift:
    """Between the finds of both networks.

    Attributes:
        px: (M,) of corners, or of centres.
        agreement: share that agrees.
        scores: of the same boxes.
        people: share lost, share invented; None of too few, or where the best boxes decide.
    """

    px: FloatArray
    agreement: float
    scores: ScorePairs
    people: People = (None, None)


class DetectorYardstick:
    """See converters.gates.base.Yardstick.

    Args:
        checkpoint: the float network.
        dataset: name of the persons.
        persons: annotated.
        tick: told of each picture.
    """

    def __init__(
        self, checkpoint: Network, dataset: str, persons: Sequence[Person], tick: Tick = silent
    ) -> None:
        self.dataset, self.persons = dataset, persons
        self.pictures = by_picture(persons)
        self.checkpoint = Watch(checkpoint, len(self.pictures))
        self.views = Views([(path, None) for path in self.pictures], checkpoint.spec.size, tick)
        self.expected = self._look(self.checkpoint)
        check_sound(self.checkpoint)
        self.before = self._score(self.expected)

    def gate(self, artifact: Artifact, backend: Backend, limits: Limits) -> Gate:
        """See Yardstick."""
        watch = Watch(ArtifactPredictor(artifact, backend), len(self.views))
        found = self._look(watch)
        drift = self._drift(found)
        comparison = Comparison(
            dataset=self.dataset,
            n_persons=len(self.persons),
            before=self.before,
            after=self._score(found),
            drift_px=drift.px,
            agreement=drift.agreement,
            scores=drift.scores,
            people=drift.people,
            stride=self.checkpoint.stride,
            data_sha256=joined_hash(data_hash(self.persons), self.views.sha256),
            maps=compare_maps(self.checkpoint.kept, watch.kept),
        )
        return judge(comparison, self.checkpoint, watch, limits)

    def _look(self, network: Watch) -> tuple[Boxes, ...]:
        """Return boxes of each picture, input px, best first, low scores included."""
        outputs = (
            network.maps(to_tensor(view.image[None], network.spec))[-1][0]
            for view in self.views.counted()
        )
        return tuple(
            decode_centers(output, network.stride, threshold=0.0, max_boxes=KEPT_BOXES)
            for output in outputs
        )

    def _drift(self, found: Sequence[Boxes]) -> Drift:
        pairs = list(zip(self.expected, found, strict=True))
        if sum(int((scores >= SCORE).sum()) for _, scores in self.expected) < MIN_BOXES:
            return self._best_drift(pairs)
        there = [same_boxes(a, b) for a, b in pairs]
        back = [same_boxes(b, a) for a, b in pairs]
        kept, known = (np.concatenate([same.found for same in way]) for way in (there, back))
        scores = np.concatenate(
            [same.scores for same in there] + [same.scores[:, ::-1] for same in back]
        )
        return Drift(
            np.concatenate([same.corners_px.ravel() for same in there]),
            worst_way((kept, known)),
            ScorePairs(scores[:, 0], scores[:, 1], SCORE),
            (missing(kept), missing(known)),
        )

    def _best_drift(self, pairs: Sequence[tuple[Boxes, Boxes]]) -> Drift:
        """Compare the best box of every picture."""
        drift_px = np.array([best_drift(a, b) for a, b in pairs], np.float32)
        finite = np.isfinite(drift_px)
        best = [(a[1][0], b[1][0]) for (a, b), ok in zip(pairs, finite, strict=True) if ok]
        scores = np.array(best, np.float32).reshape(-1, 2)
        return Drift(
            drift_px[finite],
            float(within(drift_px, self.checkpoint.stride).mean()),
            ScorePairs(scores[:, 0], scores[:, 1], SCORE),
        )

    def _score(self, seen: Sequence[Boxes]) -> Score:
        right: dict[str, int] = {}
        everybody: dict[str, int] = {}
        for (boxes, scores), view, people in zip(
            seen, self.views, self.pictures.values(), strict=True
        ):
            sure = scores >= SCORE
            corners = apply_affine(boxes[sure].reshape(-1, 2), invert_affine(view.matrix))
            found = clip_boxes(corners.reshape(-1, 4), view.picture_size), scores[sure]
            name = people[0].dataset
            right[name] = right.get(name, 0) + hits(found, people, view.picture_size)
            everybody[name] = everybody.get(name, 0) + len(people)
        metric = f"recall at IoU {IOU:g} and score {SCORE:g}"
        return Score(
            metric,
            100 * sum(right.values()) / sum(everybody.values()),
            {(n, metric): (count, 100 * right[n] / count) for n, count in everybody.items()},
        )


def measure_checkpoint(
    model: nn.Module, info: CheckpointInfo, data: ConversionData, tick: Tick
) -> DetectorYardstick:
    """See converters.gates.open_yardstick."""
    data = data.without(info.trained_on)
    if data.gate.dataset == GENERATED:
        data = data.drawn(people=3)
    network, group = NetworkPredictor(model, info), data.gate
    return DetectorYardstick(network, group.dataset, group.persons, tick)


def same_boxes(one: Boxes, other: Boxes) -> Same:
    """Look for the boxes that a network is sure of among the other's."""
    sure, likely = one[1] >= SCORE, other[1] >= HALF_SURE
    boxes, candidates = one[0][sure], other[0][likely]
    overlap = box_iou(candidates, boxes)
    place = match_people(np.where(overlap >= IOU, overlap, 0))
    found = place >= 0
    gap = (boxes[found] - candidates[place[found]]).reshape(-1, 2, 2)
    scores = np.stack([one[1][sure][found], other[1][likely][place[found]]], axis=1)
    return Same(found, np.linalg.norm(gap, axis=2).astype(np.float32), scores.astype(np.float32))


def best_drift(one: Boxes, other: Boxes) -> float:
    """Return px from the centre of the other's best box to the nearest of the nearly best ones.

    Infinite where one of them has no box at all.
    """
    if not len(one[0]) or not len(other[0]):
        return float("inf")
    nearly = one[0][one[1] >= NEARLY * one[1][0]]
    centers = (nearly[:, :2] + nearly[:, 2:]) / 2
    best = (other[0][0, :2] + other[0][0, 2:]) / 2
    return float(np.linalg.norm(centers - best, axis=1).min())
