"""The gate of person detectors.

Both networks get the same whole pictures, which no training saw. Only some of the people in them
are annotated, so that false finds do not show in accuracy; they show in agreement.

- Accuracy: recall of the annotated people by boxes that a device would take.
- Agreement: every box that one of the networks is sure of is looked for among the other's, at an
  overlap of 0.5; the share that is found, in both directions. Drift: corners of the same boxes.
- A checkpoint that is sure of too few boxes is no reason to pass: then what counts is the best box
  of every picture, however low its score: its centre stays within one heatmap px. The artifact's
  is compared with the nearest of the checkpoint's boxes whose scores are nearly as high.
- Whatever they find, the maps of both must correlate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from converters.data import GENERATED, ConversionData
from converters.gates.base import Limits
from converters.gates.judge import Comparison, Score, check_sound, joined_hash, judge, within
from converters.gates.maps import KEPT_MAPS, NEARLY, correlation
from converters.gates.views import Views
from converters.gates.watch import Watch
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
from training.predictors import ArtifactPredictor, NetworkPredictor

HALF_SURE = 0.5 * SCORE  # of the boxes among which the other network's are looked for
MIN_BOXES = 50  # sure finds of the checkpoint; with fewer the best boxes decide
KEPT_BOXES = 100  # per picture, whatever their scores


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network makes of the gate's pictures.

    Attributes:
        boxes: per picture, input px, best first, low scores included.
        maps: outputs of the first pictures.
    """

    boxes: tuple[Boxes, ...]
    maps: tuple[tuple[FloatArray, ...], ...]


class DetectorYardstick:
    """See converters.gates.base.Yardstick.

    Args:
        checkpoint: the float network.
        dataset: name of the persons.
        persons: annotated.
    """

    def __init__(self, checkpoint: Watch, dataset: str, persons: Sequence[Person]) -> None:
        self.checkpoint, self.dataset, self.persons = checkpoint, dataset, persons
        self.pictures = by_picture(persons)
        self.views = Views([(path, None) for path in self.pictures], checkpoint.spec.size)
        self.expected = self._look(checkpoint)
        check_sound(checkpoint)
        self.before = self._score(self.expected)

    def gate(self, artifact: Artifact, backend: Backend, limits: Limits) -> Gate:
        """See Yardstick."""
        watch = Watch(ArtifactPredictor(artifact, backend))
        found = self._look(watch)
        drift_px, agreement = self._drift(found)
        comparison = Comparison(
            dataset=self.dataset,
            n_persons=len(self.persons),
            before=self.before,
            after=self._score(found),
            drift_px=drift_px,
            agreement=agreement,
            stride=self.checkpoint.stride,
            data_sha256=joined_hash(data_hash(self.persons), self.views.sha256),
            correlation=correlation(self.expected.maps, found.maps),
        )
        return judge(comparison, self.checkpoint, watch, limits)

    def _look(self, network: Watch) -> Seen:
        boxes: list[Boxes] = []
        maps: list[tuple[FloatArray, ...]] = []
        for view in self.views:
            output = network.maps(to_tensor(view.image[None], network.spec))[-1][0]
            boxes.append(
                decode_centers(output, network.stride, threshold=0.0, max_boxes=KEPT_BOXES)
            )
            if len(maps) < KEPT_MAPS:
                maps.append((output,))
        return Seen(tuple(boxes), tuple(maps))

    def _drift(self, found: Seen) -> tuple[FloatArray, float]:
        """Return px between the same corners, or centres, and the share that agrees."""
        pairs = list(zip(self.expected.boxes, found.boxes, strict=True))
        if sum(int((scores >= SCORE).sum()) for _, scores in self.expected.boxes) < MIN_BOXES:
            drift_px = np.array([best_drift(a, b) for a, b in pairs], np.float32)
            finite = np.isfinite(drift_px)
            return drift_px[finite], float(within(drift_px, self.checkpoint.stride).mean())
        there = [same_boxes(a, b) for a, b in pairs]
        back = [same_boxes(b, a) for a, b in pairs]
        looked_for = sum(total for _, total in (*there, *back))
        seen_again = sum(len(px) for px, _ in (*there, *back))
        corners_px = np.concatenate([px.ravel() for px, _ in there])
        return corners_px, seen_again / max(looked_for, 1)

    def _score(self, seen: Seen) -> Score:
        right: dict[str, int] = {}
        everybody: dict[str, int] = {}
        for (boxes, scores), view, people in zip(
            seen.boxes, self.views, self.pictures.values(), strict=True
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
    model: nn.Module, info: CheckpointInfo, data: ConversionData
) -> DetectorYardstick:
    """See converters.gates.open_yardstick."""
    data = data.without(info.trained_on)
    if data.gate.dataset == GENERATED:
        data = data.drawn(people=3)
    group = data.gate
    return DetectorYardstick(Watch(NetworkPredictor(model, info)), group.dataset, group.persons)


def same_boxes(one: Boxes, other: Boxes) -> tuple[FloatArray, int]:
    """Look for the boxes that a network is sure of among the other's.

    Returns:
        (found, 2) px between the top left and the bottom right corners of those that are found,
        and how many were looked for.
    """
    sure, candidates = one[0][one[1] >= SCORE], other[0][other[1] >= HALF_SURE]
    overlap = box_iou(candidates, sure)
    place = match_people(np.where(overlap >= IOU, overlap, 0))
    found = place >= 0
    gap = (sure[found] - candidates[place[found]]).reshape(-1, 2, 2)
    return np.linalg.norm(gap, axis=2).astype(np.float32), len(sure)


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
