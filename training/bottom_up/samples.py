"""From whole pictures to batches for bottom-up networks: compose, look, cut, mark the unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edge_pose.preprocess import (
    Affine,
    InputSpec,
    Region,
    apply_affine,
    crop,
    region_affine,
    to_tensor,
)
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Image
from training.bottom_up.options import SceneConfig
from training.datasets.composites import Picture, compose, open_scene
from training.datasets.scenes import Scene
from training.keypoints import mirror
from training.samples import Key
from training.transforms import AugmentConfig, jitter

MIN_CUT_JOINTS = 8  # fewer do not say where to cut a person out
MIN_PERSON_PX = 20.0  # of the input; joints of smaller people share heatmap px
CLOSE_UP = 1.5  # side of the closest view over a person's box
SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class SceneSample:
    """One training sample.

    Attributes:
        crop: (h, w, 3) uint8 BGR.
        keypoints: (P, K, 2) float32, input px.
        shown: (P, K) bool: annotated and to be seen; it may lie outside of the crop.
        known: (K, h/4, w/4) bool, False where a keypoint may be that nobody annotated.
        boxes: (P, 4) float32 input px, around the people's annotated joints.
    """

    crop: Image
    keypoints: FloatArray
    shown: NDArray[np.bool_]
    known: NDArray[np.bool_]
    boxes: FloatArray


class SceneSamples(Dataset[SceneSample]):
    """Augmented pictures with several people, addressed by Key (`person` is the scene's number).

    Args:
        scenes: at least one.
        config: geometry and composites.
        augment: flips and colours; None for neither.
        keypoints: the scenes' format.
        stride: input px per px of `known`.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        config: SceneConfig,
        augment: AugmentConfig | None,
        keypoints: KeypointFormat,
        stride: int = 4,
    ) -> None:
        self.scenes, self.config, self.augment = scenes, config, augment
        self.keypoints, self.stride = keypoints, stride
        self.mirror = mirror(keypoints)
        self.single = [
            i
            for i, scene in enumerate(scenes)
            if len(scene.present) == 1 and scene.present.sum() >= MIN_CUT_JOINTS
        ]
        # Annotated all over, or nearly: who was left out is masked if a label file knows of him.
        self.surveyed = [i for i, scene in enumerate(scenes) if not len(scene.unlabelled.boxes)]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, key: Key) -> SceneSample:
        """Draw one sample as the key's seed says."""
        rng = np.random.default_rng((key.seed, key.epoch, key.position))
        picture = self._picture(key.person, rng)
        flip = bool(self.augment and rng.random() < self.augment.p_flip)
        region = draw_region(picture, self.config, rng)
        size = (key.input_side, key.input_side)
        matrix = region_affine(region, size, mirror=flip)
        image = crop(picture.image, matrix, size)
        if self.augment:
            image = jitter(image, self.augment, rng)
        return self._sample(picture, matrix, image, flip)

    def _picture(self, number: int, rng: np.random.Generator) -> Picture:
        own = self.scenes[number]
        if not self.single or rng.random() >= self.config.p_composite:
            return open_scene(own)
        people = rng.choice(self.single, int(rng.integers(1, self.config.max_pasted + 1)))
        chosen = [self.scenes[i] for i in people]
        background = own
        if len(own.unlabelled.boxes):  # a person without surroundings of use: paste him as well
            if number in self.single:
                chosen.append(own)
            elsewhere = self.surveyed if self.surveyed and rng.random() < 0.8 else [number]
            background = self.scenes[int(rng.choice(elsewhere))]
        return compose(background, chosen, self.keypoints, rng)

    def _sample(self, picture: Picture, matrix: Affine, image: Image, flip: bool) -> SceneSample:
        keypoints = apply_affine(picture.keypoints, matrix)
        shown, unknown = picture.shown, picture.unknown
        if flip:
            keypoints = keypoints[:, self.mirror]
            shown, unknown = shown[:, self.mirror], unknown[:, self.mirror]
        polygons = _corners(picture.boxes, matrix)
        boxes = np.concatenate([polygons.min(axis=1), polygons.max(axis=1)], axis=1)
        small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) < MIN_PERSON_PX
        hidden = [(p, np.ones(shown.shape[1], np.bool_)) for p in _corners(picture.ignore, matrix)]
        hidden += [(p, u | s) for p, u, s in zip(polygons, unknown, small, strict=True)]
        return SceneSample(
            crop=image,
            keypoints=keypoints,
            shown=shown & ~small[:, None],
            known=self._known(hidden, image.shape[1] // self.stride),
            boxes=boxes.astype(np.float32),
        )

    def _known(
        self, hidden: list[tuple[FloatArray, NDArray[np.bool_]]], side: int
    ) -> NDArray[np.bool_]:
        """Draw the polygons of what is not known, joint by joint."""
        known = np.ones((len(self.keypoints.keypoints), side, side), np.bool_)
        for polygon, joints in hidden:
            if not joints.any():
                continue
            corners = ((polygon + 0.5) / self.stride - 0.5) * 2**SUBPIXEL_BITS
            mask = np.zeros((side, side), np.uint8)
            cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1, shift=SUBPIXEL_BITS)
            known[joints] &= mask == 0
        return known


def _corners(boxes: FloatArray, matrix: Affine) -> FloatArray:
    """Return the (B, 4, 2) corners of boxes, mapped."""
    return apply_affine(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), matrix)


def draw_region(picture: Picture, config: SceneConfig, rng: np.random.Generator) -> Region:
    """Draw what to look at: between the whole picture and a close view of one of its people."""
    height, width = picture.image.shape[:2]
    center, side = np.array([(width - 1) / 2, (height - 1) / 2]), float(max(width, height))
    seen = np.flatnonzero(picture.shown.any(axis=1))
    if len(seen):
        x1, y1, x2, y2 = picture.boxes[rng.choice(seen)].tolist()
        close = min(max(x2 - x1, y2 - y1, 1.0) * CLOSE_UP, side)
        share = float(rng.uniform(0, config.closest))
        center = share * np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + (1 - share) * center
        side *= (close / side) ** share
    low, high = config.zoom
    side /= low * (high / low) ** float(rng.uniform())
    center = center + rng.uniform(-config.shift, config.shift, 2) * side
    angle = float(rng.uniform(-config.rotate_deg, config.rotate_deg))
    return Region((float(center[0]), float(center[1])), (side, side), angle)


def collate_scenes(samples: Sequence[SceneSample], spec: InputSpec) -> tuple[Tensor, ...]:
    """Stack one batch; pictures with fewer people are filled up with people who are not shown.

    Returns:
        images (N, 3, h, w) float32, keypoints (N, P, K, 2) float32 input px, shown (N, P, K) bool
        and known (N, K, h/4, w/4) bool, with P the most people of a picture, at least 1.
    """
    people = max(1, *(len(sample.shown) for sample in samples))
    joints = samples[0].shown.shape[1]
    keypoints = np.zeros((len(samples), people, joints, 2), np.float32)
    shown = np.zeros((len(samples), people, joints), np.bool_)
    for i, sample in enumerate(samples):
        keypoints[i, : len(sample.shown)] = sample.keypoints
        shown[i, : len(sample.shown)] = sample.shown
    images = to_tensor(np.stack([sample.crop for sample in samples]), spec)
    known = np.stack([sample.known for sample in samples])
    return tuple(torch.from_numpy(array) for array in (images, keypoints, shown, known))
