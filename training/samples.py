"""From annotated persons to batches: decode, augment, crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from edge_pose.preprocess import InputSpec, apply_affine, crop, region_affine, to_tensor
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image
from training.datasets.base import DatasetError, Person
from training.transforms import AugmentConfig, draw_view, jitter

MIRROR = np.arange(len(MPII16.keypoints))
for _a, _b in MPII16.flip_pairs:
    MIRROR[[_a, _b]] = _b, _a


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


@cache
def _encoded(path: Path) -> NDArray[np.uint8]:
    """Keep the files' bytes in memory: a tenth of the pixels, and no disk in the loop."""
    return np.frombuffer(path.read_bytes(), np.uint8)


def read_image(path: Path) -> Image:
    """Decode a picture to (H, W, 3) uint8 BGR.

    Raises:
        DatasetError: it is missing or not a picture.
    """
    try:
        image = cv2.imdecode(_encoded(path), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
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
    """Every person `repeats[dataset]` times per epoch, in an order of the seed and the epoch.

    Set `epoch` and `input_side` before each pass; a resumed run sees what it would have seen.

    Args:
        persons: those that keys number.
        repeats: times per epoch by data set, 1 where it is not named.
        seed: of the order and of every sample.
    """

    def __init__(self, persons: Sequence[Person], repeats: dict[str, int], seed: int) -> None:
        self.order = np.concatenate(
            [np.repeat(i, repeats.get(person.dataset, 1)) for i, person in enumerate(persons)]
        )
        self.seed = seed
        self.epoch = 0
        self.input_side = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys of the current epoch."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.order)
        for position, person in enumerate(order):
            yield Key(self.seed, self.epoch, position, int(person), self.input_side)


class Collate:
    """Stacks samples into (images (N, 3, h, w) float32, keypoints (N, K, 2), present (N, K))."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    def __call__(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
        """Stack one batch."""
        images = to_tensor(np.stack([sample.crop for sample in samples]), self.spec)
        keypoints = np.stack([sample.keypoints for sample in samples])
        present = np.stack([sample.present for sample in samples])
        return torch.from_numpy(images), torch.from_numpy(keypoints), torch.from_numpy(present)
