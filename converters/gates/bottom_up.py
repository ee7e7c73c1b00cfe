"""The gate of networks that see everybody in the picture.

Both networks get the same whole pictures, which no training saw.

- Accuracy: PCK of everybody annotated, with the joints of people who were not found counted as
  wrong: it says something of weak networks, too, whose AP is next to nothing. AP stands beside it.
- Drift and agreement: keypoints of the same people. Every person whom one of the networks is sure
  of is looked for among the other's people, by OKS; keypoints of a person who is not found there
  count as disagreement. The worse of both directions is judged: people who are lost do not make up
  for invented ones, and both have their share in the report. Keypoints that a device would not
  show do not count. Each joint is judged by itself, too, and the scores of the same keypoints.
- A checkpoint that finds less than half of the annotated people groups at random: the least
  rounding groups otherwise, and no two runs of it are alike. Nor is it a reason to pass. Then what
  counts is the highest peak of every heatmap of every picture: the artifact's is compared with the
  nearest of the checkpoint's peaks that are nearly as high.
- Whatever they find, each map must correlate with the checkpoint's and be of its scale; this is
  where damaged tags show.
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
from converters.gates.maps import Peaks, compare_maps, find_peaks, peak_drift
from converters.gates.pck import joint_score
from converters.gates.scores import ScorePairs
from converters.gates.views import View, Views
from converters.gates.watch import Watch
from converters.steps import Tick, silent
from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.config import MIN_KEYPOINT_SCORE
from edge_pose.decoding.fusion import fuse_outputs
from edge_pose.manifest import Gate
from edge_pose.metrics.oks import Annotated, oks
from edge_pose.preprocess import apply_affine, invert_affine, to_tensor
from edge_pose.types import FloatArray
from edge_pose.whole_picture import TAG_STEP
from training.bottom_up.evaluate import (
    Poses,
    ScenePredictor,
    annotated,
    match_people,
    matched_joints,
    score,
)
from training.checkpoint import CheckpointInfo
from training.datasets.scenes import Scene, box_areas, joint_boxes, load_scenes, scene_hash
from training.predictors import ArtifactPredictor, Network, NetworkPredictor

SURE = 0.25  # mean score of a person who is to be found by both networks,
HALF_SURE = 0.5 * SURE  # and of the other network's finds among which he is looked for
SAME_OKS = 0.5
MIN_JOINTS = 20  # keypoints of one name; with fewer their share says too little
MIN_FOUND = 0.5  # share of the annotated people; checkpoints that find less: the peaks decide


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network makes of the gate's pictures.

    Attributes:
        poses: per picture, input px.
        peaks: per picture, of the fused heatmaps.
    """

    poses: tuple[Poses, ...]
    peaks: tuple[Peaks, ...]


@dataclass(frozen=True, slots=True)
class Same:
    """Keypoints of the people that a network is sure of, and what the other makes of them.

    Attributes:
        px: (sure people, K) between both; NaN where the first one would show none, infinite where
            the other one has none.
        scores: (sure people, K, 2) of the one and of the other; 0 where it has none.
        found: (sure people,) whether the other has them.
    """

    px: FloatArray
    scores: FloatArray
    found: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drift:
    """Between the keypoints of both networks.

    Attributes:
        px: (N, K) of those that both found; NaN for others.
        ways: per direction (N, K) px; NaN where there is nothing to look for.
        scores: of the same keypoints.
        people: share lost, share invented; None of too few, or where the peaks decide.
    """

    px: FloatArray
    ways: tuple[FloatArray, ...]
    scores: ScorePairs
    people: People = (None, None)


class BottomUpYardstick:
    """See converters.gates.base.Yardstick.

    Args:
        checkpoint: the float network.
        dataset: name of the pictures.
        scenes: annotated, in the network's keypoint format.
        tick: told of each picture.
    """

    def __init__(
        self, checkpoint: Network, dataset: str, scenes: Sequence[Scene], tick: Tick = silent
    ) -> None:
        self.checkpoint = Watch(checkpoint, len(scenes))
        self.dataset, self.scenes = dataset, scenes
        self.views = Views([(scene.image, None) for scene in scenes], checkpoint.spec.size, tick)
        self.truth = [annotated(scene) for scene in scenes]
        units = np.concatenate([scene.unit_px for scene in scenes])
        self.judged = np.isfinite(units) & (units > 0)
        self.expected = self._look(self.checkpoint)
        check_sound(self.checkpoint)
        self.before = self._score(self.expected)
        shown = [same_keypoints(p, p, checkpoint.keypoints.sigmas) for p in self.expected.poses]
        some = bool(np.isfinite(np.concatenate([same.px for same in shown])).any())
        self.strong = some and self._found(self.expected) >= MIN_FOUND

    def gate(self, artifact: Artifact, backend: Backend, limits: Limits) -> Gate:
        """See Yardstick."""
        watch = Watch(ArtifactPredictor(artifact, backend), len(self.views))
        found = self._look(watch)
        stride, names = self.checkpoint.stride, self.checkpoint.keypoints.keypoints
        drift = self._drift(found)
        columns = dict(zip(names, drift.px.T, strict=True))
        comparison = Comparison(
            dataset=self.dataset,
            n_persons=int(self.judged.sum()),
            before=self.before,
            after=self._score(found),
            drift_px=drift.px[~np.isnan(drift.px)],
            agreement=worst_way(within(way[~np.isnan(way)], stride) for way in drift.ways),
            scores=drift.scores,
            people=drift.people,
            stride=stride,
            data_sha256=joined_hash(scene_hash(self.scenes), self.views.sha256),
            per_joint={name: px[~np.isnan(px)] for name, px in columns.items()},
            joint_agreement=joint_agreement(drift.ways, stride, names),
            maps=compare_maps(self.checkpoint.kept, watch.kept),
        )
        return judge(comparison, self.checkpoint, watch, limits)

    def _look(self, network: Watch) -> Seen:
        predictor = ScenePredictor(network)
        poses, peaks = [], []
        for view in self.views.counted():
            outputs = [m[0] for m in network.maps(to_tensor(view.image[None], network.spec))]
            heatmaps, tags = fuse_outputs(outputs)
            poses.append(predictor.decode(heatmaps, tags))
            peaks.append(find_peaks(heatmaps))
        return Seen(tuple(poses), tuple(peaks))

    def _drift(self, found: Seen) -> Drift:
        if not self.strong:
            map_px = np.float32(self.checkpoint.stride / TAG_STEP)
            px = peak_drift(self.expected.peaks, found.peaks) * map_px
            before, after = (
                np.concatenate([peaks.height for peaks in seen.peaks])
                for seen in (self.expected, found)
            )
            return Drift(px, (px,), ScorePairs(before, after, MIN_KEYPOINT_SCORE))
        sigmas = self.checkpoint.keypoints.sigmas
        pairs = list(zip(self.expected.poses, found.poses, strict=True))
        there = [same_keypoints(a, b, sigmas) for a, b in pairs]
        back = [same_keypoints(b, a, sigmas) for a, b in pairs]
        ways = tuple(np.concatenate([same.px for same in way]) for way in (there, back))
        scores = np.concatenate(
            [same.scores for same in there] + [same.scores[..., ::-1] for same in back]
        )[np.isfinite(np.concatenate(ways))]
        drift_px = np.where(np.isfinite(ways[0]), ways[0], np.nan)
        kept, known = (np.concatenate([same.found for same in way]) for way in (there, back))
        return Drift(
            drift_px,
            ways,
            ScorePairs(scores[:, 0], scores[:, 1], MIN_KEYPOINT_SCORE),
            (missing(kept), missing(known)),
        )

    def _found(self, seen: Seen) -> float:
        """Return the share of the annotated people who were found."""
        found = everybody = 0
        sigmas = self.checkpoint.keypoints.sigmas
        for people, poses, view in zip(self.truth, seen.poses, self.views, strict=True):
            similarity = oks(_in_picture(poses, view).keypoints, people, sigmas)
            near = np.where(similarity >= SAME_OKS, similarity, 0)[:, people.labelled]
            found += int((match_people(near) >= 0).sum())
            everybody += int(people.labelled.sum())
        return found / max(everybody, 1)

    def _score(self, seen: Seen) -> Score:
        poses = [_in_picture(p, v) for p, v in zip(seen.poses, self.views, strict=True)]
        keypoints = self.checkpoint.keypoints
        joints, _ = matched_joints(self.scenes, self.truth, poses, keypoints)
        datasets = [scene.dataset for scene in self.scenes for _ in scene.present]
        measured = joint_score(
            predicted=joints[self.judged],
            truth=np.concatenate([scene.keypoints for scene in self.scenes])[self.judged],
            present=np.concatenate([scene.present for scene in self.scenes])[self.judged],
            unit_px=np.concatenate([scene.unit_px for scene in self.scenes])[self.judged],
            datasets=[n for n, judged in zip(datasets, self.judged, strict=True) if judged],
            keypoints=keypoints,
            suffix=", missed people wrong",
        )
        parts = dict(measured.parts)
        for name in sorted({scene.dataset for scene in self.scenes}):
            who = [i for i, scene in enumerate(self.scenes) if scene.dataset == name]
            figures = score(
                [self.truth[i] for i in who], [poses[i] for i in who], keypoints, complete=False
            )
            parts[name, "AP (OKS)"] = (figures["n"], figures["ap"])
        return Score(measured.metric, measured.accuracy, parts, measured.groups)


def measure_checkpoint(
    model: nn.Module, info: CheckpointInfo, data: ConversionData, tick: Tick
) -> BottomUpYardstick:
    """See converters.gates.open_yardstick."""
    network = NetworkPredictor(model, info)
    data = data.without(info.trained_on)
    if data.gate.dataset == GENERATED:
        data = data.drawn(people=3)
    wanted = {person.image for person in data.gate.persons}
    scenes = [
        scene
        for name in data.sets
        for scene in load_scenes(name, data.root, network.keypoints.name)
        if scene.image in wanted
    ]
    return BottomUpYardstick(network, data.gate.dataset, scenes, tick)


def joint_agreement(
    ways: Sequence[FloatArray], stride: int, names: Sequence[str]
) -> dict[str, float]:
    """Return agreement by keypoint in the worse direction, of those seen often enough."""
    shares = {}
    for i, name in enumerate(names):
        columns = [way[~np.isnan(way[:, i]), i] for way in ways]
        enough = [within(px, stride) for px in columns if len(px) >= MIN_JOINTS]
        if enough:
            shares[name] = worst_way(enough)
    return shares


def same_keypoints(one: Poses, other: Poses, sigmas: Sequence[float]) -> Same:
    """Look for the people that a network is sure of among the other's."""
    one, other = one.of(one.scores >= SURE), other.of(other.scores >= HALF_SURE)
    shown = one.keypoint_scores >= MIN_KEYPOINT_SCORE
    boxes = joint_boxes(one.keypoints, shown)
    people = Annotated(
        bbox_xyxy=boxes,
        area_px2=box_areas(boxes),
        crowd=np.zeros(len(boxes), np.bool_),
        keypoints=one.keypoints,
        visible=shown,
    )
    similarity = oks(other.keypoints, people, sigmas)
    place = match_people(np.where(similarity >= SAME_OKS, similarity, 0))
    gap_px = np.full(shown.shape, np.inf, np.float32)
    scores = np.stack([one.keypoint_scores, np.zeros_like(one.keypoint_scores)], axis=2)
    for person, index in enumerate(place):
        if index >= 0:
            px = np.linalg.norm(one.keypoints[person] - other.keypoints[index], axis=1)
            gap_px[person] = np.where(other.keypoint_scores[index] > 0, px, np.inf)
            scores[person, :, 1] = other.keypoint_scores[index]
    return Same(np.where(shown, gap_px, np.nan).astype(np.float32), scores, place >= 0)


def _in_picture(poses: Poses, view: View) -> Poses:
    return Poses(apply_affine(poses.keypoints, invert_affine(view.matrix)), poses.keypoint_scores)
