"""Accuracy of a checkpoint or an exported artifact, decoded with the device's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_pose.decoding.heatmap import decode_heatmaps, split_keypoints
from edge_pose.errors import UsageError
from edge_pose.metrics.pck import PckResult, pck
from edge_pose.metrics.swaps import SwapResult, count_swaps
from edge_pose.preprocess import apply_affine, crop, invert_affine, region_affine, to_tensor
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray, Image
from training.checkpoint import unpack_persons
from training.datasets import DatasetError, Person, load_dataset
from training.keypoints import mirror, to_mpii
from training.predictors import ArtifactPredictor, NetworkPredictor, Predictor, open_predictor
from training.samples import read_image

__all__ = [
    "METRIC",
    "OWN_SPLIT",
    "THRESHOLD",
    "ArtifactPredictor",
    "NetworkPredictor",
    "Predictor",
    "data_hash",
    "measure",
    "measure_predictions",
    "measure_swaps",
    "open_predictor",
    "predict",
    "predict_all",
    "predict_crops",
    "unseen_persons",
]

# PCKh@0.5 of MPII; PCK@0.2 by torso for the others (Johnson and Everingham 2010).
THRESHOLD = {"mpii": 0.5, "lsp": 0.2, "lspet": 0.2, "flic": 0.2, "coco": 0.2}
METRIC = {name: "PCKh@0.5" if name == "mpii" else "PCK@0.2 (torso)" for name in THRESHOLD}
OWN_SPLIT = ("mpii", "lsp", "flic")
BATCH = 32


def unseen_persons(
    dataset: str, data: Path, trained_on: Mapping[str, str]
) -> tuple[list[Person], int]:
    """Return the persons to measure on, and how many were left out because they were trained on.

    MPII, LSP, FLIC, and COCO where its val is there: the owners' persons to measure on. Else
    everybody that the training did not see.

    Raises:
        DatasetError: nobody is left.
    """
    persons = load_dataset(dataset, data)
    seen = unpack_persons(trained_on.get(dataset, ""))
    if dataset in OWN_SPLIT or (dataset == "coco" and any(person.held_out for person in persons)):
        persons = [person for person in persons if person.held_out]
    if dataset == "mpii":
        # The trainer never takes these, and MPII's annotation files number people differently:
        # the same index is somebody else in another part of the data set.
        seen = set()
    unseen = [
        p for p in persons if p.index not in seen and np.isfinite(p.unit_px) and p.unit_px > 0
    ]
    if not unseen:
        raise DatasetError(
            f"{data / dataset}: nobody to measure on: {len(persons)} persons, all of them trained"
            " on or without the annotation that the metric needs"
        )
    return unseen, sum(person.index in seen for person in persons)


def predict(
    predictor: Predictor, persons: Sequence[Person], *, flip_test: bool
) -> Iterator[tuple[Person, FloatArray, FloatArray]]:
    """Yield (person, keypoints (K, 2) in source px, scores (K,)) on ground-truth crops."""
    size = predictor.spec.size
    for start in range(0, len(persons), BATCH):
        batch = persons[start : start + BATCH]
        matrices = [region_affine(person.region(size), size) for person in batch]
        crops = np.stack(
            [crop(read_image(p.image), m, size) for p, m in zip(batch, matrices, strict=True)]
        )
        keypoints, scores = predict_crops(predictor, crops, flip_test=flip_test)
        for person, matrix, points, score in zip(batch, matrices, keypoints, scores, strict=True):
            yield person, apply_affine(points, invert_affine(matrix)), score


def predict_crops(
    predictor: Predictor, crops: Image, *, flip_test: bool
) -> tuple[FloatArray, FloatArray]:
    """Return keypoints (N, K, 2) in input px and scores (N, K) of (N, h, w, 3) crops.

    Raises:
        UsageError: a flip test of a graph that decodes itself.
    """
    maps = predictor.heatmaps(to_tensor(crops, predictor.spec))
    if maps.ndim == 3:  # the graph decodes
        if flip_test:
            raise UsageError("flip test: the graph decodes, there are no heatmaps to average")
        return split_keypoints(maps)
    if flip_test:
        mirrored = np.ascontiguousarray(crops[:, :, ::-1])
        other = predictor.heatmaps(to_tensor(mirrored, predictor.spec))
        maps = ((maps + other[:, mirror(predictor.keypoints), :, ::-1]) / 2).astype(np.float32)
    return decode_heatmaps(maps, predictor.stride, predictor.heatmap_kind)


def measure(predictor: Predictor, persons: Sequence[Person], *, flip_test: bool) -> PckResult:
    """Return the PCK of the data set's own definition; persons without its unit are left out."""
    usable = [p for p in persons if np.isfinite(p.unit_px) and p.unit_px > 0]
    predicted = predict_all(predictor, usable, flip_test=flip_test)
    return measure_predictions(usable, predicted, predictor.keypoints)


def predict_all(predictor: Predictor, persons: Sequence[Person], *, flip_test: bool) -> FloatArray:
    """Return (N, K, 2) keypoints in source px on ground-truth crops."""
    return np.stack([points for _, points, _ in predict(predictor, persons, flip_test=flip_test)])


def measure_predictions(
    persons: Sequence[Person], predicted: FloatArray, keypoints: KeypointFormat = MPII16
) -> PckResult:
    """Return the PCK of (N, K, 2) keypoints in source px; every person needs a unit.

    Joints that the format `keypoints` does not have do not count.
    """
    return pck(*_in_mpii(persons, predicted, keypoints), MPII16, THRESHOLD[persons[0].dataset])


def measure_swaps(
    persons: Sequence[Person], predicted: FloatArray, keypoints: KeypointFormat = MPII16
) -> SwapResult:
    """Return how often left and right are taken for each other; arguments as above."""
    joints = _in_mpii(persons, predicted, keypoints)
    return count_swaps(*joints, MPII16, THRESHOLD[persons[0].dataset])


def _in_mpii(
    persons: Sequence[Person], predicted: FloatArray, keypoints: KeypointFormat
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return predicted, truth, unit and present, in MPII's joints."""
    joints, known = to_mpii(predicted, keypoints)
    return (
        joints,
        np.stack([p.keypoints for p in persons]),
        np.array([p.unit_px for p in persons], np.float32),
        np.stack([p.present for p in persons]) & known,
    )


def data_hash(persons: Iterable[Person]) -> str:
    """Return a SHA-256 over the annotations of `persons`."""
    digest = hashlib.sha256()
    for person in persons:
        digest.update(f"{person.dataset}/{person.index}/{person.image.name}".encode())
        digest.update(person.keypoints.tobytes() + person.present.tobytes())
    return digest.hexdigest()
