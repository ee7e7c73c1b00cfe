"""Inputs for training a detector: mosaics of zoomed pictures and their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from edge_pose.preprocess import crop, region_affine
from edge_pose.types import FloatArray, Image
from training.datasets.boxes import Picture, as_boxes
from training.detection.targets import draw_targets
from training.detection.views import DetectorOptions, draw_region, visible_boxes
from training.samples import Key, read_image
from training.transforms import AugmentConfig, jitter


@dataclass(frozen=True, slots=True)
class DetectorSample:
    """One training sample: (h, w, 3) uint8 BGR and its (7, h/stride, w/stride) targets."""

    image: Image
    target: FloatArray


class PictureSamples(Dataset[DetectorSample]):
    """Augmented pictures, addressed by Key."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        options: DetectorOptions,
        augment: AugmentConfig,
        stride: int,
    ) -> None:
        self.pictures, self.options, self.augment = pictures, options, augment
        self.stride = stride
        self.mosaic = np.array(options.mosaic) / sum(options.mosaic)
        names = sorted({picture.dataset for picture in pictures})
        self.members = [np.flatnonzero([p.dataset == n for p in pictures]) for n in names]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> DetectorSample:
        """Compose one input as the key's seed says; the key's picture is in it."""
        rng = np.random.default_rng((key.seed, key.epoch, key.position))
        image, boxes, ignore = self.compose(key.person, key.input_side, rng)
        image = jitter(image, self.augment, rng)
        maps = (key.input_side // self.stride,) * 2
        return DetectorSample(image, draw_targets(boxes, ignore, maps, self.stride))

    def compose(
        self, index: int, side: int, rng: np.random.Generator
    ) -> tuple[Image, FloatArray, FloatArray]:
        """Return a (side, side, 3) input, the boxes of its people and the regions to ignore."""
        grid = int(rng.choice(len(self.mosaic), p=self.mosaic)) + 1
        edges = np.linspace(0, side, grid + 1).astype(int)
        members = [index]
        while len(members) < grid * grid:  # the others: data sets with equal odds
            members.append(int(rng.choice(self.members[rng.integers(len(self.members))])))
        rng.shuffle(members)
        canvas = np.zeros((side, side, 3), np.uint8)
        boxes, ignore = [as_boxes([])], [as_boxes([])]
        for cell, member in enumerate(members):
            row, column = divmod(cell, grid)
            (top, bottom), (left, right) = edges[row : row + 2], edges[column : column + 2]
            part, seen, unsure = self._view(
                self.pictures[member],
                (int(right - left), int(bottom - top)),
                rng,
                fill=grid > 1,
            )
            canvas[top:bottom, left:right] = part
            boxes.append(seen + np.array([left, top] * 2, np.float32))
            ignore.append(unsure + np.array([left, top] * 2, np.float32))
        return canvas, np.concatenate(boxes), np.concatenate(ignore)

    def _view(
        self, picture: Picture, size: tuple[int, int], rng: np.random.Generator, *, fill: bool
    ) -> tuple[Image, FloatArray, FloatArray]:
        image = read_image(picture.image)
        boxes, ignore = picture.scaled(image.shape[1])
        shape = (image.shape[1], image.shape[0])
        region = draw_region(boxes, shape, size, self.options.view, rng, fill=fill)
        mirror = bool(rng.random() < self.augment.p_flip)
        matrix = region_affine(region, size, mirror=mirror)
        seen, unsure = visible_boxes(boxes, ignore, matrix, size)
        return crop(image, matrix, size), seen, unsure
