"""From annotated persons to batches: decode, augment, crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from edge_pose.preprocess import apply_affine, crop, region_affine
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image
from training.datasets.base import DatasetError, Person
from training.keypoints import mirror
from training.transforms import AugmentConfig, draw_view, jitter

MIRROR = mirror(MPII16)


Group: TypeAlias = tuple[NDArray[np.int64], float]
"""Sample indices, and how often an epoch shows each of them."""


@dataclass(frozen=True, slots=True)
class Key:
    """Names one draw: the same key gives the same sample, in any process, at any time."""

    seed: int
    epoch: int
    position: int
    person: int
    input_side: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One training sample.

    Attributes:
        crop: (h, w, 3) uint8 BGR.
        keypoints: (K, 2) float32, input px.
        present: (K,) bool, annotated.
    """

    crop: Image
    keypoints: FloatArray
    present: NDArray[np.bool_]


@lru_cache(maxsize=16384)  # some 2 GB of pictures of the usual size, in each loading process
def _encoded(path: Path) -> NDArray[np.uint8]:
    """Keep the files' bytes in memory: a tenth of the pixels, and no disk in the loop."""
    return np.frombuffer(path.read_bytes(), np.uint8)


def read_image(path: Path) -> Image:
    """Decode a picture to (H, W, 3) uint8 BGR.

    Raises:
        DatasetError: it is missing or not a picture.
    """
    try:
        data = _encoded(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # of an empty file; its text has several lines
        image = None
    if image is None:
        raise DatasetError(f"{path}: not a picture that OpenCV can decode")
    return np.asarray(image, np.uint8)


class PersonSamples(Dataset[Sample]):
    """Augmented crops, addressed by Key."""

    def __init__(self, persons: Sequence[Person], augment: AugmentConfig) -> None:
        self.persons = persons
        self.augment = augment

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, key: Key) -> Sample:
        """Cut and change one person as the key's seed says."""
        rng = np.random.default_rng((key.seed, key.epoch, key.position))
        person = self.persons[key.person]
        size = (key.input_side, key.input_side)
        image = read_image(person.image)
        view = draw_view(person, (image.shape[1], image.shape[0]), size, self.augment, rng)
        matrix = region_affine(view.region, size, mirror=view.mirror)
        keypoints = apply_affine(person.keypoints, matrix)
        present = person.present
        if view.mirror:
            keypoints, present = keypoints[MIRROR], present[MIRROR]
        return Sample(jitter(crop(image, matrix, size), self.augment, rng), keypoints, present)


class EpochSampler(Sampler[Key]):
    """The samples of an epoch in an order of the seed; each process takes every `world`-th batch.

    Set `epoch` and `input_side` before each pass; a resumed run sees what it would have seen.

    Args:
        groups: sample indices and how often an epoch shows each of them; the fraction of a repeat
            falls on samples that the epoch draws.
        seed: of the order and of every sample.
        part: samples of one forward pass in one process.
        rank: number of this process.
        world: processes.
    """

    def __init__(
        self, groups: Sequence[Group], seed: int, *, part: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        self.groups = groups
        self.seed = seed
        self.part, self.rank, self.world = part, rank, world
        self.epoch = 0
        self.input_side = 0

    @property
    def total(self) -> int:
        """Samples of one epoch, of all processes."""
        return sum(round(len(indices) * repeats) for indices, repeats in self.groups)

    def __len__(self) -> int:
        """Count this process's samples in whole batches of all processes."""
        return self.total // (self.part * self.world) * self.part

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys of the current epoch that are this process's."""
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(np.concatenate([_repeat(*group, rng) for group in self.groups]))
        for own in range(len(self)):
            batch, place = divmod(own, self.part)
            position = (batch * self.world + self.rank) * self.part + place
            yield Key(self.seed, self.epoch, position, int(order[position]), self.input_side)


def _repeat(
    indices: NDArray[np.int64], repeats: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return round(len · repeats) indices, each of them ⌊repeats⌋ or ⌈repeats⌉ times."""
    whole, rest = divmod(round(len(indices) * repeats), max(len(indices), 1))
    extra = rng.choice(indices, rest, replace=False) if rest else indices[:0]
    return np.concatenate([np.tile(indices, whole), extra])
