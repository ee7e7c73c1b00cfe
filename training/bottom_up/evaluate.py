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
import torch
from numpy.typing import NDArray
from torch import nn

from edge_pose.decoding.associative_embedding import (
    decode_poses,
    fuse_outputs,
    fuse_scales,
    torso_first,
)
from edge_pose.metrics.oks import Annotated, box_overlap, evaluate_keypoints, oks
from edge_pose.metrics.pck import pck
from edge_pose.preprocess import (
    apply_affine,
    crop,
    fit_region,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.skeleton import KeypointFormat, keypoint_format
from edge_pose.types import FloatArray, Image
from training.bottom_up.samples import SceneSample
from training.checkpoint import CheckpointInfo, unpack_persons
from training.datasets import DatasetError
from training.datasets.scenes import Scene, box_areas, joint_boxes, load_scenes
from training.evaluate import METRIC, OWN_SPLIT, THRESHOLD
from training.samples import read_image

SIZE_STEP = 32  # px, the coarsest stride of the networks
MATCH_OKS = 0.1  # below, a pose is nobody's in particular
MISSED_PX = 1e6  # where the joints of people who were not found are said to be


@dataclass(frozen=True, slots=True)
class Poses:
    """The people that were found in one picture.

    Attributes:
        keypoints: (D, K, 2) float32 px.
        scores: (D,) float32 in [0, 1].
    """

    keypoints: FloatArray
    scores: FloatArray


class ScenePredictor:
    """A bottom-up network and the decoder of the device.

    Args:
        model: the network, on any device.
        info: how it wants its input.
        flip_test: average with the mirrored picture.
        scales: of the input, at least one; the one nearest 1 gives tags and resolution.
    """

    def __init__(
        self,
        model: nn.Module,
        info: CheckpointInfo,
        *,
        flip_test: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.spec, self.stride = info.input_spec, info.entry.stride
        self.keypoints = keypoint_format(info.keypoint_format)
        self.order = torso_first(self.keypoints)
        self.flip_test = flip_test
        self.scales = sorted(scales, key=lambda scale: abs(math.log(scale)))

    def predict(self, image: Image) -> Poses:
        """Find the people of an (H, W, 3) uint8 BGR picture of any size, in its px."""
        height, width = image.shape[:2]
        center = ((width - 1) / 2, (height - 1) / 2)
        heatmaps, sides = [], [self._side(scale) for scale in self.scales]
        for i, side in enumerate(sides):
            size = (side, side)
            matrix = region_affine(fit_region(center, (width, height), size), size)
            heat, tags = self._fused(crop(image, matrix, size))
            heatmaps.append(heat)
            if i == 0:
                first_tags, to_picture = tags, invert_affine(matrix)
        poses = self._decode(fuse_scales(heatmaps[0], heatmaps[1:]), first_tags)
        return Poses(apply_affine(poses.keypoints, to_picture), poses.scores)

    def predict_crop(self, image: Image) -> Poses:
        """Find the people of a picture of the input's size."""
        return self._decode(*self._fused(image))

    def _side(self, scale: float) -> int:
        return max(round(self.spec.size[0] * scale / SIZE_STEP), 1) * SIZE_STEP

    def _fused(self, image: Image) -> tuple[FloatArray, FloatArray]:
        outputs = self._run(image)
        if not self.flip_test:
            return fuse_outputs(outputs)
        mirrored = self._run(np.ascontiguousarray(image[:, ::-1]))
        return fuse_outputs(outputs, mirrored, self.keypoints.flip_pairs)

    @torch.no_grad()
    def _run(self, image: Image) -> list[FloatArray]:
        tensor = torch.from_numpy(to_tensor(image[None], self.spec)).to(self.device)
        return [output[0].float().cpu().numpy() for output in self.model(tensor)]

    def _decode(self, heatmaps: FloatArray, tags: FloatArray) -> Poses:
        found = decode_poses(heatmaps, tags, stride=self.stride / 2, order=self.order)
        nobody = np.zeros((0, len(self.keypoints.keypoints), 2), np.float32)
        keypoints = np.concatenate([nobody, *(points[None] for points, _ in found)])
        scores = np.array([scores.mean() for _, scores in found], np.float32)
        return Poses(keypoints, scores)


def evaluate(
    model: nn.Module,
    info: CheckpointInfo,
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
        model: the network.
        info: how it wants its input.
        dataset: "mpii", "lsp", "lspet", "flic" or "coco".
        data: folder with the data sets.
        flip_test: average with the mirrored picture.
        scales: of the input, at least one; the one nearest 1 gives tags and resolution.

    Returns:
        AP and AR in percent, see the module's docstring; `n` people in `n_pictures`. Where people
        have a unit, PCK of those: of the ones found (matched greedily by OKS), and of all, with
        the joints of people who were not found counted as wrong.

    Raises:
        UsageError: the data set is unknown.
        DatasetError: it is missing, damaged, or nothing is left to measure on.
    """
    seen = unpack_persons(info.trained_on.get(dataset, ""))
    scenes = load_scenes(dataset, data, info.keypoint_format)
    held_out = [scene for scene in scenes if scene.held_out]
    if dataset in OWN_SPLIT or (dataset == "coco" and held_out):
        scenes = held_out
    if dataset == "mpii":  # never trained on, and its files number people differently
        seen = set()
    scenes = [scene for scene in scenes if not seen & set(scene.indices)]
    if not scenes:
        raise DatasetError(f"{data / dataset}: all of its pictures were trained on")
    predictor = ScenePredictor(model, info, flip_test=flip_test, scales=scales)
    found = [predictor.predict(read_image(scene.image)) for scene in scenes]
    keypoints = predictor.keypoints
    truth = [annotated(scene) for scene in scenes]
    result = {"dataset": dataset, "flip_test": flip_test, "scales": list(scales)}
    return {
        **result,
        **score(truth, found, keypoints, complete=dataset == "coco"),
        **matched_pck(scenes, truth, found, keypoints),
    }


def measure_samples(
    model: nn.Module, info: CheckpointInfo, samples: Iterable[SceneSample]
) -> dict[str, float]:
    """Return AP and AR in percent on samples of the input's size (see SceneSamples)."""
    predictor = ScenePredictor(model, info)
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
    return Poses(poses.keypoints[kept], poses.scores[kept])


def matched_pck(
    scenes: Sequence[Scene],
    truth: Sequence[Annotated],
    found: Sequence[Poses],
    keypoints: KeypointFormat,
) -> dict[str, Any]:
    """Return PCK of the people with a unit: of the found ones and of all; empty without any."""
    predicted, matched = [], []
    for scene, people, poses in zip(scenes, truth, found, strict=True):
        place = match_people(
            oks(poses.keypoints, people, keypoints.sigmas)[:, : len(scene.present)]
        )
        padded = np.concatenate([poses.keypoints, np.full_like(scene.keypoints[:1], MISSED_PX)])
        predicted.append(padded[place])  # -1: the last one, far from everything
        matched.append(place >= 0)
    units = np.concatenate([scene.unit_px for scene in scenes])
    usable = np.isfinite(units) & (units > 0)
    if not usable.any():
        return {}
    all_predicted, is_found = np.concatenate(predicted), np.concatenate(matched)
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
