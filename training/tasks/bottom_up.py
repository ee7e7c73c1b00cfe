"""Everybody in the picture at once: whole pictures and composites, heatmaps and tags, OKS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import keypoint_format
from training.bottom_up.evaluate import measure_samples
from training.bottom_up.options import BottomUpOptions
from training.bottom_up.samples import SceneSample, SceneSamples, collate_scenes
from training.checkpoint import CheckpointInfo, pack_persons
from training.datasets.scenes import Scene, load_scenes, scene_hash
from training.losses.associative import (
    location_cross_entropy,
    masked_mse,
    people_heatmaps,
    pull_push,
)
from training.recipe import Recipe
from training.registry import ModelEntry
from training.samples import Key
from training.tasks.base import Batch
from training.tasks.mixing import data_set_groups, spread

MEASURED_SCENES = 64
MEASURE_SEED = 20090  # held-out composites are the same ones in every run


class BottomUpTask:
    """See training.tasks.base.Task.

    Args:
        recipe: what to train.
        entry: the network's registry entry.
        scenes: for training, and those held out from it, in the network's keypoint format.
        options: weights of the loss, and how samples are drawn.
    """

    def __init__(
        self,
        recipe: Recipe,
        entry: ModelEntry,
        scenes: Sequence[Scene],
        options: BottomUpOptions,
    ) -> None:
        self.recipe, self.entry, self.options = recipe, entry, options
        self.keypoints = _keypoints(recipe, entry)
        self.scenes = [scene for scene in scenes if not scene.held_out]
        # MPII's held-out pictures are the benchmark's validation: no run looks at them.
        self.held_out = [s for s in scenes if s.held_out and s.dataset == "lspet"]
        self.samples = SceneSamples(
            self.scenes, options.scenes, recipe.augment, keypoint_format(self.keypoints)
        )
        self.groups = data_set_groups([scene.dataset for scene in self.scenes], recipe)
        self.trained_on = {
            name: pack_persons(i for s in self.scenes if s.dataset == name for i in s.indices)
            for name in recipe.datasets
        }
        self.data_sha256 = scene_hash(self.scenes)

    def collate(self, samples: Sequence[SceneSample]) -> Batch:
        """Return images, keypoints, shown and known, see `collate_scenes`."""
        entry, crop = self.entry, samples[0].crop
        size = (crop.shape[1], crop.shape[0])
        spec = InputSpec(size, entry.color, "nchw", "float32", entry.mean, entry.std)
        return collate_scenes(samples, spec)

    def loss(self, model: nn.Module, batch: Batch, sigma: float) -> Tensor:
        """Return heatmap losses of both resolutions plus pull and push of the tags."""
        images, keypoints, shown, known = batch
        coarse, fine = model(images)
        joints = shown.shape[2]
        stride, options = self.entry.stride, self.options
        finer = known.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        total = images.new_zeros(())
        # As in HigherHRNet, sigma is the same number of px at both resolutions.
        for maps, step, judged in (
            (coarse[:, :joints], stride, known),
            (fine, stride // 2, finer),
        ):
            size = (maps.shape[3], maps.shape[2])
            target = people_heatmaps(keypoints, shown, step, size, sigma)
            total = total + masked_mse(maps, target, judged, options.positive_weight)
            if options.location_weight:
                location = location_cross_entropy(maps, target, judged, options.temperature)
                total = total + options.location_weight * location
        pull, push = pull_push(coarse[:, joints:], keypoints, shown, stride)
        return total + options.pull_weight * pull + options.push_weight * push

    def measure(
        self, model: nn.Module, info: CheckpointInfo, *, trained: bool = False
    ) -> dict[str, float]:
        """Return AP and AR by OKS on composites of people held out from training (LSPET).

        With `trained`, on pictures of the training itself, composites as the recipe says.
        """
        scenes = self.scenes if trained else self.held_out
        if not scenes:
            return {}
        config = self.options.scenes.model_copy(
            update={"rotate_deg": 0.0, "zoom": (1.0, 1.0)}
            | ({} if trained else {"p_composite": 1.0})
        )
        names = keypoint_format(self.keypoints)
        samples = SceneSamples(scenes, config, None, names)
        numbers = np.linspace(0, len(scenes), min(MEASURED_SCENES, len(scenes)), endpoint=False)
        side = info.input_size[0]
        drawn = (
            samples[Key(MEASURE_SEED, 0, place, int(number), side)]
            for place, number in enumerate(numbers)
        )
        with torch.no_grad():
            return measure_samples(model, info, drawn)


def build(recipe: Recipe, entry: ModelEntry, data: Path, limit: int | None) -> BottomUpTask:
    """Load the pictures of a recipe; `limit` of those trained on and of those held out.

    Raises:
        UsageError: a data set is none of whole pictures, or takes no corrections.
        DatasetError: a data set or a file of corrections is missing or damaged.
    """
    keypoints = _keypoints(recipe, entry)
    scenes: list[Scene] = []
    for name in recipe.datasets:
        file = recipe.corrections.get(name)
        scenes += load_scenes(name, data, keypoints, corrections=Path(file) if file else None)
    trained = spread([s for s in scenes if not s.held_out], limit)
    held_out = spread([s for s in scenes if s.held_out and s.dataset == "lspet"], limit)
    return BottomUpTask(recipe, entry, trained + held_out, recipe.bottom_up)


def _keypoints(recipe: Recipe, entry: ModelEntry) -> str:
    return str(recipe.model_args.get("keypoints", entry.keypoint_format))
