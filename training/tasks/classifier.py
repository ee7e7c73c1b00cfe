"""One label per picture: cross-entropy with smoothed labels, top-1 and top-5 accuracy."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from edge_pose.errors import UsageError
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo, pack_persons
from training.classification.evaluate import accuracy
from training.classification.views import ClassifierOptions, cut, random_box
from training.datasets.classification import Classes, Labelled, load_labelled
from training.recipe import Recipe
from training.registry import ModelEntry
from training.samples import Key
from training.tasks.base import Batch
from training.tasks.mixing import data_set_groups, spread
from training.transforms import AugmentConfig, jitter

TRAINED_SHARE = 1000  # pictures that `measure(trained=True)` looks at


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """One training sample: (h, w, 3) uint8 BGR and the number of its class."""

    image: Image
    label: int


class LabelledSamples(Dataset[LabelledSample]):
    """Augmented parts of pictures, addressed by Key."""

    def __init__(
        self, pictures: Sequence[Labelled], options: ClassifierOptions, augment: AugmentConfig
    ) -> None:
        self.pictures, self.options, self.augment = pictures, options, augment

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> LabelledSample:
        """Cut and change one picture as the key's seed says."""
        rng = np.random.default_rng((key.seed, key.epoch, key.position))
        picture = self.pictures[key.person]
        image = picture.pixels()
        box = random_box((image.shape[1], image.shape[0]), self.options.min_area, rng)
        image = cut(image, box, key.input_side)
        if rng.random() < self.augment.p_flip:
            image = np.ascontiguousarray(image[:, ::-1])
        return LabelledSample(jitter(image, self.augment, rng), picture.label)


class ClassifierTask:
    """See training.tasks.base.Task.

    Args:
        recipe: what to train.
        entry: of its model.
        train: the training part of its data set.
        limit: use only this many pictures, and of those held out.
    """

    def __init__(
        self, recipe: Recipe, entry: ModelEntry, train: Classes, limit: int | None = None
    ) -> None:
        self.entry, self.options = entry, recipe.classifier
        self.classes = len(train.names)
        self.pictures = spread([p for p in train.pictures if not p.held_out], limit)
        self.held_out = spread([p for p in train.pictures if p.held_out], limit)
        self.samples = LabelledSamples(self.pictures, self.options, recipe.augment)
        self.groups = data_set_groups([picture.dataset for picture in self.pictures], recipe)
        self.trained_on = {
            name: pack_persons(p.index for p in self.pictures if p.dataset == name)
            for name in recipe.datasets
        }
        self.data_sha256 = labels_hash(self.pictures)

    def collate(self, samples: Sequence[LabelledSample]) -> Batch:
        """Return images (N, 3, h, w) and labels (N,) int64."""
        images = np.stack([sample.image for sample in samples])
        size, entry = (images.shape[2], images.shape[1]), self.entry
        spec = InputSpec(size, entry.color, "nchw", "float32", entry.mean, entry.std)
        labels = torch.tensor([sample.label for sample in samples])
        return torch.from_numpy(to_tensor(images, spec)), labels

    def loss(self, model: nn.Module, batch: Batch, sigma: float) -> Tensor:
        """Return the cross-entropy; `sigma` is not used, there are no heatmaps."""
        del sigma
        images, labels = batch
        logits = model(images)[-1].float()
        smoothing = self.options.label_smoothing
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def measure(
        self, model: nn.Module, info: CheckpointInfo, *, trained: bool = False
    ) -> dict[str, float]:
        """Return top-1 and top-5 accuracy in percent."""
        pictures = spread(self.pictures, TRAINED_SHARE) if trained else self.held_out
        return accuracy(model, info, pictures, self.classes) if pictures else {}


def labels_hash(pictures: Sequence[Labelled]) -> str:
    """Return a SHA-256 over the labels in use."""
    digest = hashlib.sha256()
    for picture in pictures:
        name = picture.image.name if isinstance(picture.image, Path) else ""
        digest.update(f"{picture.dataset}/{picture.index}/{name}/{picture.label}\n".encode())
    return digest.hexdigest()


def build(recipe: Recipe, entry: ModelEntry, data: Path, limit: int | None) -> ClassifierTask:
    """Load the pictures of a recipe; `limit` of each split.

    Raises:
        UsageError: there are several data sets, or the network has another number of classes.
        DatasetError: the data set is missing or damaged.
    """
    if len(recipe.datasets) > 1:
        raise UsageError(
            f"datasets: found {', '.join(recipe.datasets)}, expected one: labels of several do not"
            " mix"
        )
    (name,) = recipe.datasets
    train = load_labelled(name, data, "train")
    default = inspect.signature(entry.build).parameters["classes"].default
    classes = recipe.model_args.get("classes", default)
    if classes != len(train.names):
        raise UsageError(
            f"model_args: classes = {classes}, but {data / name} has {len(train.names)} classes"
        )
    return ClassifierTask(recipe, entry, train, limit)
