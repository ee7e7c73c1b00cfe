"""Accuracy of bottom-up networks on whole pictures, decoded with the device's own code.

AP and AR by OKS as COCO defines them. MPII and COCO leave people unannotated. COCO says where
(crowds, people without keypoints). MPII does not say: a detection that no annotated person's box
touches is not counted there, it may be somebody real. `ap_strict` counts it as false.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_pose.decoding.associative_embedding import fuse_outputs, fuse_scales, torso_first
from edge_pose.metrics.oks import Annotated, box_overlap, evaluate_keypoints, oks
from edge_pose.metrics.pck import pck
from edge_pose.preprocess import apply_affine, invert_affine, to_tensor
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Image
from edge_pose.whole_picture import find_people, fit_picture
from training.bottom_up.samples import SceneSample
from training.checkpoint import CheckpointInfo, unpack_persons
from training.datasets import DatasetError
from training.datasets.scenes import Scene, box_areas, joint_boxes, load_scenes
from training.evaluate import METRIC, OWN_SPLIT, THRESHOLD
from training.predictors import Network, NetworkPredictor
from training.samples import read_image

SIZE_STEP = 32  # px, the coarsest stride of the networks
MATCH_OKS = 0.1  # below, a pose is nobody's in particular
MISSED_PX = 1e6  # where the joints of people who were not found are said to be


@dataclass(frozen=True, slots=True)
class Poses:
    """The people that were found in one picture.

    Attributes:
        keypoints: (D, K, 2) float32 px.
        keypoint_scores: (D, K) float32 in [0, 1]; 0 for what was not found.
    """

    keypoints: FloatArray
    keypoint_scores: FloatArray

    @property
    def scores(self) -> FloatArray:
        """(D,) mean scores."""
        mean: FloatArray = self.keypoint_scores.mean(axis=1)
        return mean

    def of(self, chosen: NDArray[np.bool_]) -> Poses:
        """Return some of them."""
        return Poses(self.keypoints[chosen], self.keypoint_scores[chosen])


class ScenePredictor:
    """A bottom-up network, torch's or an artifact's, and the decoder of the device.

    Args:
        network: maps pictures to heatmaps and tags.
        flip_test: average with the mirrored picture.
        scales: of the input, at least one; the one nearest 1 gives tags and resolution.

    Raises:
        UsageError: the network has one input size, and another scale is asked for.
    """

    def __init__(
        self,
        network: Network,
        *,
        flip_test: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        self.spec, self.stride = network.spec, network.stride
        self.keypoints = network.keypoints
        self.order = torso_first(self.keypoints)
        self.flip_test = flip_test
        ordered = sorted(scales, key=lambda scale: abs(math.log(scale)))
        self.networks = [self._scaled(network, scale) for scale in ordered]

    def predict(self, image: Image) -> Poses:
        """Find the people of an (H, W, 3) uint8 BGR picture of any size, in its px."""
        heatmaps = []
        for i, network in enumerate(self.networks):
            view, matrix = fit_picture(image, network.spec.size)
            heat, tags = self.fused(view, network)
            heatmaps.append(heat)
            if i == 0:
                first_tags, to_picture = tags, invert_affine(matrix)
        poses = self.decode(fuse_scales(heatmaps[0], heatmaps[1:]), first_tags)
        return Poses(apply_affine(poses.keypoints, to_picture), poses.keypoint_scores)

    def predict_crop(self, image: Image) -> Poses:
        """Find the people of a picture of the input's size."""
        return self.decode(*self.fused(image, self.networks[0]))

    def fused(self, image: Image, network: Network) -> tuple[FloatArray, FloatArray]:
        """Return heatmaps and tags of a picture of the network's input size."""
        outputs = _run(image, network)
        if not self.flip_test:
            return fuse_outputs(outputs)
        mirrored = _run(np.ascontiguousarray(image[:, ::-1]), network)
        return fuse_outputs(outputs, mirrored, self.keypoints.flip_pairs)

    def decode(self, heatmaps: FloatArray, tags: FloatArray) -> Poses:
        """Return the people of fused maps, in input px."""
        return Poses(*find_people(heatmaps, tags, self.stride, self.order))

    def _scaled(self, network: Network, scale: float) -> Network:
        if scale == 1:
            return network
        side = max(round(self.spec.size[0] * scale / SIZE_STEP), 1) * SIZE_STEP
        return network.resized((side, side))


def _run(image: Image, network: Network) -> list[FloatArray]:
    return [output[0] for output in network.maps(to_tensor(image[None], network.spec))]


def evaluate(
    network: Network,
    dataset: str,
    data: Path,
    *,
    flip_test: bool = False,
    scales: Sequence[float] = (1.0,),
) -> dict[str, Any]:
    """Measure a network on whole pictures that it was not trained on.

    MPII: the pictures of the benchmark's validation persons. COCO: val, where it is there. LSP,
    FLIC: the owners' test part. Else what training did not see.

    Args:
        network: torch's or an artifact's.
        dataset: "mpii", "lsp", "lspet", "flic" or "coco".
        data: folder with the data sets.
        flip_test: average with the mirrored picture.
        scales: of the input, at least one; the one nearest 1 gives tags and resolution.

    Returns:
        AP and AR in percent, see the module's docstring; `n` people in `n_pictures`. Where people
        have a unit, PCK of those: of the ones found (matched greedily by OKS), and of all, with
        the joints of people who were not found counted as wrong.

    Raises:
        UsageError: the data set is unknown, or an artifact has one input size only.
        DatasetError: it is missing, damaged, or nothing is left to measure on.
    """
    predictor = ScenePredictor(network, flip_test=flip_test, scales=scales)
    scenes = unseen_scenes(dataset, data, network)
    found = [predictor.predict(read_image(scene.image)) for scene in scenes]
    truth = [annotated(scene) for scene in scenes]
    result = {"dataset": dataset, "flip_test": flip_test, "scales": list(scales)}
    return {
        **result,
        **score(truth, found, network.keypoints, complete=dataset == "coco"),
        **matched_pck(scenes, truth, found, network.keypoints),
    }


def unseen_scenes(dataset: str, data: Path, network: Network) -> list[Scene]:
    """Return the pictures to measure a network on, see `evaluate`.

    Raises:
        UsageError: the data set is unknown.
        DatasetError: it is missing, damaged, or nothing is left to measure on.
    """
    seen = unpack_persons(network.trained_on.get(dataset, ""))
    scenes = load_scenes(dataset, data, network.keypoints.name)
    held_out = [scene for scene in scenes if scene.held_out]
    if dataset in OWN_SPLIT or (dataset == "coco" and held_out):
        scenes = held_out
    if dataset == "mpii":  # never trained on, and its files number people differently
        seen = set()
    scenes = [scene for scene in scenes if not seen & set(scene.indices)]
    if not scenes:
        raise DatasetError(f"{data / dataset}: all of its pictures were trained on")
    return scenes


def measure_samples(
    model: nn.Module, info: CheckpointInfo, samples: Iterable[SceneSample]
) -> dict[str, float]:
    """Return AP and AR in percent on samples of the input's size (see SceneSamples)."""
    predictor = ScenePredictor(NetworkPredictor(model, info))
    truth, found = [], []
    for sample in samples:
        side = len(sample.crop)
        inside = ((sample.keypoints > -0.5) & (sample.keypoints < side - 0.5)).all(axis=2)
        truth.append(
            Annotated(
                bbox_xyxy=sample.boxes,
                area_px2=box_areas(sample.boxes),
                crowd=np.zeros(len(sample.boxes), np.bool_),
                keypoints=sample.keypoints,
                visible=sample.shown & inside,
            )
        )
        found.append(predictor.predict_crop(sample.crop))
    figures = score(truth, found, predictor.keypoints, complete=False)
    return {name: figures[name] for name in ("ap", "ar", "ap50")}


def annotated(scene: Scene) -> Annotated:
    """Return a scene as the metrics want it; unlabelled places come last, as people to ignore."""
    places, joints = len(scene.unlabelled.boxes), scene.present.shape[1]
    boxes = joint_boxes(scene.keypoints, scene.present)
    return Annotated(
        bbox_xyxy=np.concatenate([boxes, scene.unlabelled.boxes]),
        area_px2=np.concatenate([scene.area_px2, scene.unlabelled.area_px2]),
        crowd=np.concatenate([np.zeros(len(boxes), np.bool_), scene.unlabelled.crowd]),
        keypoints=np.concatenate([scene.keypoints, np.zeros((places, joints, 2), np.float32)]),
        visible=np.concatenate([scene.present, np.zeros((places, joints), np.bool_)]),
    )


def score(
    truth: Sequence[Annotated],
    found: Sequence[Poses],
    keypoints: KeypointFormat,
    *,
    complete: bool,
) -> dict[str, Any]:
    """Return AP and AR in percent; unless the annotations are complete, see the module's."""
    strict = evaluate_keypoints(truth, [(p.keypoints, p.scores) for p in found], keypoints)
    result = strict
    if not complete:
        near = [_near_people(p, t) for p, t in zip(found, truth, strict=True)]
        result = evaluate_keypoints(truth, [(p.keypoints, p.scores) for p in near], keypoints)
    names = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50")
    return {
        "n": result.n_truth,
        "n_pictures": result.n_pictures,
        **{name: round(100 * float(getattr(result, name)), 2) for name in names},
        "ap_strict": round(100 * strict.ap, 2),
    }


def _near_people(poses: Poses, truth: Annotated) -> Poses:
    """Keep the poses whose box touches that of somebody annotated."""
    shown = np.ones(poses.keypoints.shape[:2], np.bool_)
    boxes = joint_boxes(poses.keypoints, shown)
    people = Annotated(*(getattr(truth, n)[truth.labelled] for n in Annotated.__slots__))
    kept = box_overlap(boxes, people).max(axis=1, initial=0.0) > 0
    return poses.of(kept)


def matched_pck(
    scenes: Sequence[Scene],
    truth: Sequence[Annotated],
    found: Sequence[Poses],
    keypoints: KeypointFormat,
) -> dict[str, Any]:
    """Return PCK of the people with a unit: of the found ones and of all; empty without any."""
    all_predicted, is_found = matched_joints(scenes, truth, found, keypoints)
    units = np.concatenate([scene.unit_px for scene in scenes])
    usable = np.isfinite(units) & (units > 0)
    if not usable.any():
        return {}
    points = np.concatenate([scene.keypoints for scene in scenes])
    present = np.concatenate([scene.present for scene in scenes])
    name = scenes[0].dataset
    figures: dict[str, Any] = {"metric": METRIC[name], "found": int((usable & is_found).sum())}
    for label, who in (("found", usable & is_found), ("all", usable)):
        result = pck(
            all_predicted[who], points[who], units[who], present[who], keypoints, THRESHOLD[name]
        )
        figures[f"pck_{label}_mean14"] = round(result.mean14, 2)
        figures[f"pck_{label}_mean12"] = round(result.mean12, 2)
    return figures


def matched_joints(
    scenes: Sequence[Scene],
    truth: Sequence[Annotated],
    found: Sequence[Poses],
    keypoints: KeypointFormat,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return what was found of every annotated person of all pictures.

    Args:
        scenes: the pictures.
        truth: the same, see `annotated`.
        found: in the pictures' px.
        keypoints: of both.

    Returns:
        (P, K, 2) px, far from everything for people who were not found, and (P,) who was.
    """
    predicted, matched = [], []
    for scene, people, poses in zip(scenes, truth, found, strict=True):
        similarity = oks(poses.keypoints, people, keypoints.sigmas)
        place = match_people(similarity[:, : len(scene.present)])
        nobody = np.full((1, len(keypoints.keypoints), 2), MISSED_PX, np.float32)
        predicted.append(np.concatenate([poses.keypoints, nobody])[place])  # -1: the last one
        matched.append(place >= 0)
    return np.concatenate(predicted), np.concatenate(matched)


def match_people(similarity: NDArray[np.floating]) -> NDArray[np.intp]:
    """Pair poses with people greedily, the most similar first.

    Args:
        similarity: (D, P) OKS.

    Returns:
        (P,) the pose of each person, -1 where nobody is more similar than MATCH_OKS.
    """
    left = similarity.copy()
    place = np.full(similarity.shape[1], -1, np.intp)
    while left.size and left.max() > MATCH_OKS:
        pose, person = np.unravel_index(left.argmax(), left.shape)
        place[person] = pose
        left[pose], left[:, person] = 0, 0
    return place
