"""Knowledge distillation: a teacher's heatmaps beside the labels, where the teacher is confident.

After Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), and for
heatmaps Zhang et al., "Fast Human Pose Estimation" (CVPR 2019). Per joint:

| label | teacher's confidence | target |
|---|---|---|
| within the crop | below the gate | the label |
| within the crop | at or above it | (1 - weight) * label + weight * teacher |
| outside of the crop | any | the label |
| none (LSPET has no pelvis) | below the gate | none |
| none | at or above it | the teacher, times weight |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge_pose.decoding.heatmap import WINDOW_RADIUS
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import Image
from training.evaluate import NetworkPredictor
from training.losses.heatmap import LOSSES
from training.recipe import DistillOptions
from training.targets import gaussian_targets
from training.teaching.teachers import HeatmapTeacher, Teacher, resize

TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Belief:
    """What a teacher says about a batch.

    Attributes:
        maps: (N, K, H, W) float32, sums to one per joint.
        confidence: (N, K) float32 in [0, 1]; 0 for joints that the teacher does not know.
    """

    maps: Tensor
    confidence: Tensor


class TeacherMaps:
    """Runs a teacher on the student's own augmented batches.

    Args:
        teacher: of `open_teacher`; a torch network is moved to the batches' device.
        student: how the batches are normalised; its size does not matter.
        keypoints: the student's keypoint format.
        stride: input px per heatmap px of the student.
        temperature: above 1 softens the teacher's heatmaps.
    """

    def __init__(
        self,
        teacher: Teacher,
        student: InputSpec,
        keypoints: KeypointFormat,
        stride: int,
        temperature: float = 1.0,
    ) -> None:
        self.teacher, self.student = teacher, student
        self.stride, self.temperature = stride, temperature
        known = teacher.predictor.keypoints if isinstance(teacher, HeatmapTeacher) else MPII16
        self._find = [
            known.keypoints.index(name) if name in known.keypoints else -1
            for name in keypoints.keypoints
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor, size: tuple[int, int], sigma: float) -> Belief:
        """Look at a batch.

        Args:
            images: (N, 3, h, w) float32, normalised for the student.
            size: (w, h) of the student's heatmaps.
            sigma: of the Gaussian that stands for a teacher without heatmaps, heatmap px.
        """
        rgb = pixels(images, self.student)
        if isinstance(self.teacher, HeatmapTeacher):
            kind = self.teacher.predictor.heatmap_kind
            belief = believe(_heatmaps(self.teacher, rgb), kind, size, self.temperature)
        else:
            belief = self._gaussians(rgb, size, sigma)
        find = torch.tensor(self._find, device=images.device)
        there = (find >= 0).float()
        find = find.clamp_min(0)
        return Belief(belief.maps[:, find], belief.confidence[:, find] * there)

    def _gaussians(self, rgb: Tensor, size: tuple[int, int], sigma: float) -> Belief:
        keypoints, scores = (torch.from_numpy(a) for a in self.teacher.keypoints(crops(rgb)))
        maps, inside = gaussian_targets(keypoints.to(rgb.device), self.stride, size, sigma)
        return Belief(_share(maps), scores.to(rgb.device) * inside)


def distillation_loss(
    stages: Sequence[Tensor],
    belief: Belief,
    target: Tensor,
    present: Tensor,
    inside: Tensor,
    options: DistillOptions,
    loss: str,
) -> Tensor:
    """Return the heatmap loss `loss` against labels and teacher, see the module's docstring.

    "softmax" is the mean over the joints that have a target, so that its size does not hang on how
    many the teacher adds; "mse" is the mean over all heatmaps, as without a teacher.

    Args:
        stages: (N, K, h, w) of each stage.
        belief: the teacher's answer to the same batch.
        target: (N, K, h, w) Gaussians of height 1.
        present: (N, K) bool, annotated.
        inside: (N, K) bool, within the picture.
        options: gate and weight.
        loss: a key of training.losses.heatmap.LOSSES.
    """
    function, spread = LOSSES[loss], loss == "softmax"
    own = _share(target) if spread else target
    teacher = belief.maps if spread else _peak_one(belief.maps)
    trusted = belief.confidence >= max(options.gate, TINY)  # nothing is known at confidence 0
    mixed = torch.lerp(own, teacher, options.weight)
    labelled = function(stages, torch.where(trusted[..., None, None], mixed, own), present, inside)
    extra = trusted & ~present
    added = options.weight * function(stages, teacher, extra, extra)
    if not spread:
        return labelled + added
    n_labelled, n_extra = (present & inside).sum(), extra.sum()
    share = n_extra / (n_labelled + n_extra).clamp_min(1)
    return labelled * (1 - share) + added * share


def believe(heatmaps: Tensor, kind: str, size: tuple[int, int], temperature: float = 1.0) -> Belief:
    """Turn heatmaps (N, K, H, W) of a kind of edge_pose.decoding.heatmap into a belief of `size`.

    The confidence is the decoder's score: of "logits" the mass around the peak at temperature 1,
    of "gaussian" the peak's height.
    """
    if kind == "logits":
        side = 2 * WINDOW_RADIUS + 1
        mass = F.avg_pool2d(_softmax(heatmaps), side, 1, WINDOW_RADIUS) * side**2
        confidence = mass.amax(dim=(2, 3))
        maps = _softmax(heatmaps / temperature)
    else:
        heights = heatmaps.clamp(0, 1)
        confidence = heights.amax(dim=(2, 3))
        maps = heights ** (1 / temperature)
    width, height = size
    if maps.shape[2:] != (height, width):
        maps = F.interpolate(maps, (height, width), mode="bilinear", antialias=True)
    return Belief(_share(maps), confidence.clamp(0, 1))


def pixels(images: Tensor, spec: InputSpec) -> Tensor:
    """Undo the normalisation: (N, 3, h, w) RGB on the 0..255 scale."""
    mean, std = _per_channel(spec, images.device)
    values = images.float() * std + mean
    return values.flip(1) if spec.color == "bgr" else values


def normalised(rgb: Tensor, spec: InputSpec) -> Tensor:
    """Normalise (N, 3, h, w) RGB on the 0..255 scale."""
    mean, std = _per_channel(spec, rgb.device)
    return ((rgb.flip(1) if spec.color == "bgr" else rgb) - mean) / std


def crops(rgb: Tensor) -> Image:
    """Return (N, h, w, 3) uint8 BGR."""
    values = rgb.flip(1).clamp(0, 255).round().byte().permute(0, 2, 3, 1)
    return np.ascontiguousarray(values.cpu().numpy())


def _heatmaps(teacher: HeatmapTeacher, rgb: Tensor) -> Tensor:
    predictor = teacher.predictor
    width, height = predictor.spec.size
    if not isinstance(predictor, NetworkPredictor):
        tensor = to_tensor(resize(crops(rgb), (width, height)), predictor.spec)
        return torch.from_numpy(predictor.heatmaps(tensor)).to(rgb.device)
    # A network is run where the batch is, without a detour over the CPU.
    predictor.model.to(rgb.device)
    predictor.device = rgb.device
    if rgb.shape[2:] != (height, width):
        rgb = F.interpolate(rgb, (height, width), mode="bilinear", antialias=True)
    heatmaps: Tensor = predictor.model(normalised(rgb, predictor.spec))[-1]
    return heatmaps.float()


def _softmax(heatmaps: Tensor) -> Tensor:
    return heatmaps.flatten(2).softmax(dim=2).view_as(heatmaps)


def _share(maps: Tensor) -> Tensor:
    return maps / maps.sum(dim=(2, 3), keepdim=True).clamp_min(TINY)


def _peak_one(maps: Tensor) -> Tensor:
    return maps / maps.amax(dim=(2, 3), keepdim=True).clamp_min(TINY)


def _per_channel(spec: InputSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    values = torch.tensor([spec.mean, spec.std], dtype=torch.float32, device=device)
    return values[0].view(3, 1, 1), values[1].view(3, 1, 1)
