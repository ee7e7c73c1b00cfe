"""Predictions of every stage of a network, beside the truth: what the pictures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from edge_pose.decoding.heatmap import decode_heatmaps
from edge_pose.metrics.pck import PckResult
from edge_pose.preprocess import apply_affine, crop, invert_affine, region_affine, to_tensor
from edge_pose.types import FloatArray, Image
from training.datasets.base import Person
from training.evaluate import BATCH, NetworkPredictor, Predictor, measure_predictions
from training.keypoints import to_mpii
from training.samples import read_image


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a network found on N people, in MPII's sixteen joints.

    Attributes:
        persons: N people with the annotation that the metric needs.
        stages: (S, N, 16, 2) float32, source px; the last stage is the prediction.
        errors: (S, N, 16) distance from the truth over the metric's unit; NaN where a joint is not
            annotated or the network does not know it.
        scores: (N, 16) of the last stage, in [0, 1].
        results: PCK of every stage.
    """

    persons: tuple[Person, ...]
    stages: FloatArray
    errors: FloatArray
    scores: FloatArray
    results: tuple[PckResult, ...]


def stage_heatmaps(predictor: Predictor, crops: Image) -> list[FloatArray]:
    """Return (N, K, H, W) of every stage, on (N, h, w, 3) crops; an artifact has only the last."""
    tensor = to_tensor(crops, predictor.spec)
    if not isinstance(predictor, NetworkPredictor):
        return [predictor.heatmaps(tensor)]
    with torch.no_grad():
        stages = predictor.model(torch.from_numpy(tensor).to(predictor.device))
    return [stage.float().cpu().numpy() for stage in stages]


def crops_of(persons: Sequence[Person], size: tuple[int, int]) -> Image:
    """Return the ground-truth crops (N, h, w, 3) of people, `size` is (w, h)."""
    matrices = [region_affine(person.region(size), size) for person in persons]
    return np.stack(
        [crop(read_image(p.image), m, size) for p, m in zip(persons, matrices, strict=True)]
    )


def predict_stages(predictor: Predictor, persons: Sequence[Person]) -> Predictions:
    """Run a network over people that have the metric's unit."""
    size = predictor.spec.size
    found: list[list[FloatArray]] = []
    scores: list[FloatArray] = []
    for start in range(0, len(persons), BATCH):
        batch = persons[start : start + BATCH]
        inverse = [invert_affine(region_affine(p.region(size), size)) for p in batch]
        decoded = [
            decode_heatmaps(maps, predictor.stride, predictor.heatmap_kind)
            for maps in stage_heatmaps(predictor, crops_of(batch, size))
        ]
        for row, matrix in enumerate(inverse):
            found.append([apply_affine(points[row], matrix) for points, _ in decoded])
        scores.append(decoded[-1][1])
    native = np.swapaxes(np.asarray(found, np.float32), 0, 1)  # (S, N, K, 2)
    joints = [to_mpii(stage, predictor.keypoints) for stage in native]
    stages, known = np.stack([stage for stage, _ in joints]), joints[0][1]
    last = to_mpii(np.concatenate(scores)[..., None], predictor.keypoints)[0][..., 0]
    return Predictions(
        persons=tuple(persons),
        stages=stages,
        errors=_errors(stages, persons, known),
        scores=last,
        results=tuple(measure_predictions(persons, s, predictor.keypoints) for s in native),
    )


def person_errors(errors: FloatArray) -> FloatArray:
    """Return (N,) mean errors of (N, 16); each joint counts at most one unit, unknown ones none.

    One joint that lies far off would else decide the order alone.
    """
    known = np.isfinite(errors)
    total = np.where(known, np.minimum(errors, 1.0), 0.0).sum(axis=1)
    mean: FloatArray = (total / np.maximum(known.sum(axis=1), 1)).astype(np.float32)
    return mean


def _errors(stages: FloatArray, persons: Sequence[Person], known: NDArray[np.bool_]) -> FloatArray:
    truth = np.stack([person.keypoints for person in persons])
    unit = np.array([person.unit_px for person in persons], np.float32)
    present = np.stack([person.present for person in persons]) & known
    distance = np.linalg.norm(stages - truth, axis=-1) / unit[:, None]
    return np.where(present, distance, np.nan).astype(np.float32)
