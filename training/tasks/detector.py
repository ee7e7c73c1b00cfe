"""Everybody in a picture, as boxes: centre points, COCO's average precision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge_pose.preprocess import InputSpec, to_tensor
from training.checkpoint import CheckpointInfo, pack_persons
from training.datasets.boxes import (
    SHIPPED,
    Picture,
    annotated_pictures,
    labelled_pictures,
)
from training.detection.detectors import CenterDetector
from training.detection.evaluate import measure_boxes
from training.detection.samples import DetectorSample, PictureSamples
from training.losses.centers import center_loss
from training.predictors import NetworkPredictor
from training.recipe import Recipe
from training.registry import ModelEntry
from training.tasks.base import Batch
from training.tasks.mixing import data_set_groups, spread

ANNOTATIONS = "annotations"
MEASURED = 200  # pictures that `measure` looks at


class DetectorTask:
    """See training.tasks.base.Task."""

    def __init__(self, recipe: Recipe, entry: ModelEntry, pictures: Sequence[Picture]) -> None:
        self.entry = entry
        self.pictures = [picture for picture in pictures if not picture.held_out]
        # MPII's held-out persons are the benchmark's validation: no run looks at them.
        self.held_out = [p for p in pictures if p.held_out and p.dataset == "lspet"]
        self.samples = PictureSamples(self.pictures, recipe.detector, recipe.augment, entry.stride)
        self.groups = data_set_groups([picture.dataset for picture in self.pictures], recipe)
        self.trained_on = {
            name: pack_persons(i for p in self.pictures if p.dataset == name for i in p.indices)
            for name in recipe.datasets
        }
        self.data_sha256 = boxes_hash(self.pictures)

    def collate(self, samples: Sequence[DetectorSample]) -> Batch:
        """Return images (N, 3, h, w) and targets (N, 7, h/stride, w/stride)."""
        images = np.stack([sample.image for sample in samples])
        size, entry = (images.shape[2], images.shape[1]), self.entry
        spec = InputSpec(size, entry.color, "nchw", "float32", entry.mean, entry.std)
        targets = np.stack([sample.target for sample in samples])
        return torch.from_numpy(to_tensor(images, spec)), torch.from_numpy(targets)

    def loss(self, model: nn.Module, batch: Batch, sigma: float) -> Tensor:
        """Return focal + offset + size loss; `sigma` is not used, the boxes say how wide."""
        del sigma
        images, targets = batch
        return center_loss(model(images), targets)

    def measure(
        self, model: nn.Module, info: CheckpointInfo, *, trained: bool = False
    ) -> dict[str, float]:
        """Return COCO's AP50, AR50 and AP against the boxes in use, in percent."""
        pictures = (self.pictures if trained else self.held_out)[:MEASURED]
        if not pictures:
            return {}
        result = measure_boxes(CenterDetector(NetworkPredictor(model, info)), pictures)
        values = {"ap50": result.ap50, "ar50": result.ar50, "ap": result.ap}
        return {name: round(100 * value, 2) for name, value in values.items()}


def boxes_hash(pictures: Sequence[Picture]) -> str:
    """Return a SHA-256 over the boxes in use."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{picture.dataset}/{picture.image.name}/{picture.indices}".encode())
        digest.update(picture.boxes.tobytes() + picture.ignore.tobytes())
    return digest.hexdigest()


def build(recipe: Recipe, entry: ModelEntry, data: Path, limit: int | None) -> DetectorTask:
    """Load the pictures of a recipe; `limit` of each split. COCO has labels of its own."""
    labels = recipe.detector.labels
    pictures: list[Picture] = []
    for name in recipe.datasets:
        if labels == ANNOTATIONS or name == "coco":
            pictures += annotated_pictures(name, data)
        else:
            pictures += labelled_pictures(name, data, Path(labels) if labels else SHIPPED)
    trained = spread([p for p in pictures if not p.held_out], limit)
    held_out = spread([p for p in pictures if p.held_out and p.dataset == "lspet"], limit)
    return DetectorTask(recipe, entry, trained + held_out)
