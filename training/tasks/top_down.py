"""One person per input: crops around annotated persons, heatmaps, PCK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.skeleton import keypoint_format
from training.checkpoint import CheckpointInfo, merge_persons, pack_persons
from training.datasets import Person, load_dataset
from training.evaluate import NetworkPredictor, data_hash, measure
from training.keypoints import from_mpii
from training.losses.heatmap import LOSSES
from training.losses.perceptual import combine, neck_loss
from training.models.hourglass import StackedHourglass
from training.recipe import DistillOptions, Recipe
from training.registry import ModelEntry
from training.samples import PersonSamples, Sample
from training.targets import gaussian_targets
from training.tasks.base import Batch
from training.tasks.mixing import data_set_groups, spread
from training.teaching.corrections import apply_corrections
from training.teaching.distill import Belief, TeacherMaps, distillation_loss
from training.teaching.teachers import open_teacher

TRAINED_SHARE = 128  # persons that `measure(trained=True)` looks at


class TopDownTask:
    """See training.tasks.base.Task.

    Raises:
        UsageError: the perceptual loss is asked for a network without necks.
    """

    def __init__(self, recipe: Recipe, entry: ModelEntry, persons: Sequence[Person]) -> None:
        self.recipe, self.entry = recipe, entry
        self.persons = [person for person in persons if not person.held_out]
        # MPII's held-out persons are the benchmark's validation: no run looks at them.
        self.held_out = [p for p in persons if p.held_out and p.dataset == "lspet"]
        self.samples = PersonSamples(self.persons, recipe.augment)
        self.groups = data_set_groups([person.dataset for person in self.persons], recipe)
        self.trained_on = {
            name: pack_persons(p.index for p in self.persons if p.dataset == name)
            for name in recipe.datasets
        }
        if recipe.distill is not None:
            # What a teacher learned by heart it tells its pupil.
            teacher = open_teacher(recipe.distill.teacher)
            self.trained_on = merge_persons(self.trained_on, teacher.trained_on)
        self.data_sha256 = data_hash(self.persons)
        keypoints = recipe.model_args.get("keypoints", entry.keypoint_format)
        self.keypoints = keypoint_format(str(keypoints))
        self.columns, self.known = from_mpii(self.keypoints)
        self._teacher: TeacherMaps | None = None

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Return images (N, 3, h, w), keypoints (N, K, 2) input px and present (N, K)."""
        crops = np.stack([sample.crop for sample in samples])
        spec = self._spec((crops.shape[2], crops.shape[1]))
        keypoints = np.stack([sample.keypoints for sample in samples])[:, self.columns]
        present = np.stack([sample.present for sample in samples])[:, self.columns] & self.known
        images = torch.from_numpy(to_tensor(crops, spec))
        return images, torch.from_numpy(keypoints), torch.from_numpy(present)

    def loss(self, model: nn.Module, batch: Batch, sigma: float) -> Tensor:
        """Return the heatmap loss of all stages, with what the recipe adds to it."""
        images, keypoints, present = batch
        perceptual = self.recipe.perceptual
        if perceptual is None:
            stages = model(images)
        else:
            if not isinstance(model, StackedHourglass):
                raise UsageError(
                    f"perceptual: {self.recipe.model} has no necks, only stacked hourglasses have"
                )
            stages, necks = model.forward_with_necks(images)
        size = (stages[-1].shape[3], stages[-1].shape[2])
        target, inside = gaussian_targets(keypoints, self.entry.stride, size, sigma)
        distill = self.recipe.distill
        if distill is None:
            loss = LOSSES[self.recipe.loss](stages, target, present, inside)
        else:
            belief = self._teach(distill, images, size, sigma)
            loss = distillation_loss(
                stages, belief, target, present, inside, distill, self.recipe.loss
            )
        if perceptual is None:
            return loss
        between = neck_loss(necks, perceptual.kind)
        # The document adds its stages' losses up; of ours only "mse" does, "softmax" is a mean.
        added = loss if self.recipe.loss == "mse" else loss * len(stages)
        return combine(added, between, perceptual.weight, perceptual.alpha)

    def _teach(
        self, options: DistillOptions, images: Tensor, size: tuple[int, int], sigma: float
    ) -> Belief:
        """Ask the teacher, who is opened in the training process and not in those that load."""
        if self._teacher is None:
            spec = self._spec((images.shape[3], images.shape[2]))
            teacher = open_teacher(options.teacher)
            self._teacher = TeacherMaps(
                teacher, spec, self.keypoints, self.entry.stride, options.temperature
            )
        return self._teacher(images, size, sigma)

    def _spec(self, size: tuple[int, int]) -> InputSpec:
        entry = self.entry
        return InputSpec(size, entry.color, "nchw", "float32", entry.mean, entry.std)

    def measure(
        self, model: nn.Module, info: CheckpointInfo, *, trained: bool = False
    ) -> dict[str, float]:
        """Return PCK by the persons' data set: mean of 14 joints, mean of 12."""
        persons = self.persons[:TRAINED_SHARE] if trained else self.held_out
        if not persons:
            return {}
        predictor = NetworkPredictor(model, info, next(model.parameters()).device)
        # The units of the data sets differ, and so do their thresholds: one set per figure.
        persons = [p for p in persons if p.dataset == persons[0].dataset]
        result = measure(predictor, persons, flip_test=False)
        return {"mean14": round(result.mean14, 2), "mean12": round(result.mean12, 2)}


def build(recipe: Recipe, entry: ModelEntry, data: Path, limit: int | None) -> TopDownTask:
    """Load the persons of a recipe, corrected where it says so; `limit` of each split."""
    persons: list[Person] = []
    for name in recipe.datasets:
        loaded = load_dataset(name, data)
        if name in recipe.corrections:
            loaded = apply_corrections(loaded, Path(recipe.corrections[name]))
        persons += loaded
    trained = spread([p for p in persons if not p.held_out], limit)
    held_out = spread([p for p in persons if p.held_out and p.dataset == "lspet"], limit)
    return TopDownTask(recipe, entry, trained + held_out)
