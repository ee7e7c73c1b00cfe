"""The gate of networks that see one person at a time.

Both networks get the same ground-truth crops of people that no training saw.

- Accuracy: PCK by the data set's own definition. Of several data sets together it is the share of
  labelled joints that are right, each by the unit and the threshold of its own data set.
- Drift and agreement: of every keypoint of every crop, right or wrong. A weak checkpoint, whose
  accuracy has nothing to lose, does not hide a broken artifact. Each joint is judged by itself,
  too: one that is dead is a sixteenth of all.
- Scores of the same keypoints, and the heatmaps themselves: a device tracks by scores, which may be
  wrong while every peak is in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import nn

from converters.data import ConversionData
from converters.gates.base import Limits
from converters.gates.judge import Comparison, Score, check_sound, joined_hash, judge, within
from converters.gates.maps import Likeness, compare_maps
from converters.gates.pck import joint_score
from converters.gates.scores import ScorePairs
from converters.gates.views import Views
from converters.gates.watch import Watch
from converters.steps import Tick, silent
from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.config import MIN_KEYPOINT_SCORE
from edge_pose.manifest import Gate
from edge_pose.preprocess import apply_affine, invert_affine
from edge_pose.types import FloatArray
from training.checkpoint import CheckpointInfo
from training.datasets import Person
from training.evaluate import data_hash, predict_crops
from training.keypoints import to_mpii
from training.predictors import ArtifactPredictor, Network, NetworkPredictor

BATCH = 32


class TopDownYardstick:
    """See converters.gates.base.Yardstick.

    Args:
        checkpoint: the float network.
        dataset: name of the persons.
        persons: annotated, each with its PCK unit.
        tick: told of each picture.
        generated: they are drawn.
    """

    def __init__(
        self, checkpoint: Network, dataset: str, persons: Sequence[Person], tick: Tick = silent
    ) -> None:
        self.dataset, self.persons = dataset, persons
        self.checkpoint = Watch(checkpoint, len(persons))
        size = checkpoint.spec.size
        self.views = Views([(p.image, p.region(size)) for p in persons], size, tick)
        self.expected, self.scores = self._look(self.checkpoint)
        check_sound(self.checkpoint)
        self.before = self._score(self.expected)

    def gate(self, artifact: Artifact, backend: Backend, limits: Limits) -> Gate:
        """See Yardstick."""
        watch = Watch(ArtifactPredictor(artifact, backend), len(self.views))
        found, scores = self._look(watch)
        drift_px = np.linalg.norm(found - self.expected, axis=2).astype(np.float32)
        stride = self.checkpoint.stride
        names = self.checkpoint.keypoints.keypoints
        near = within(drift_px, stride)
        comparison = Comparison(
            dataset=self.dataset,
            n_persons=len(self.persons),
            before=self.before,
            after=self._score(found),
            drift_px=drift_px.ravel(),
            agreement=float(near.mean()),
            scores=ScorePairs(self.scores.ravel(), scores.ravel(), MIN_KEYPOINT_SCORE),
            stride=stride,
            data_sha256=joined_hash(data_hash(self.persons), self.views.sha256),
            per_joint={name: drift_px[:, i] for i, name in enumerate(names)},
            joint_agreement=dict(zip(names, near.mean(axis=0).tolist(), strict=True)),
            maps=self._compare_maps(watch),
        )
        return judge(comparison, self.checkpoint, watch, limits)

    def _look(self, network: Watch) -> tuple[FloatArray, FloatArray]:
        """Return (N, K, 2) input px and (N, K) scores."""
        views = (view.image for view in self.views.counted())
        batches = [predict_crops(network, crops, flip_test=False) for crops in _batches(views)]
        points, scores = zip(*batches, strict=True)
        return np.concatenate(points), np.concatenate(scores)

    def _compare_maps(self, artifact: Watch) -> Likeness | None:
        """Compare the last outputs; there is nothing to compare where the graph decodes."""
        expected = [outputs[-1:] for outputs in self.checkpoint.kept]
        found = [outputs[-1:] for outputs in artifact.kept]
        if found[0][0].ndim != expected[0][0].ndim:
            return None
        return compare_maps(expected, found)

    def _score(self, keypoints: FloatArray) -> Score:
        source = np.stack(
            [
                apply_affine(points, invert_affine(view.matrix))
                for points, view in zip(keypoints, self.views, strict=True)
            ]
        )
        joints, known = to_mpii(source, self.checkpoint.keypoints)
        return joint_score(
            predicted=joints,
            truth=np.stack([p.keypoints for p in self.persons]),
            present=np.stack([p.present for p in self.persons]) & known,
            unit_px=np.array([p.unit_px for p in self.persons], np.float32),
            datasets=[p.dataset for p in self.persons],
        )


def measure_checkpoint(
    model: nn.Module, info: CheckpointInfo, data: ConversionData, tick: Tick
) -> TopDownYardstick:
    """See converters.gates.open_yardstick."""
    group = data.without(info.trained_on).gate
    network = NetworkPredictor(model, info)
    return TopDownYardstick(network, group.dataset, group.persons, tick)


def _batches(images: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    while batch := list(islice(images, BATCH)):
        yield np.stack(batch)
