"""The pictures that show a quantizer which numbers to expect."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.steps import Tick, silent
from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import crop, region_affine
from edge_pose.types import Image
from edge_pose.whole_picture import fit_picture
from training.datasets import Person
from training.datasets.boxes import by_picture
from training.samples import read_image
from training.transforms import AugmentConfig, draw_view

log = logging.getLogger(__name__)

MIN_IMAGES = 16
# What a tracker does to a region: it lags, breathes and sees people mirrored, but does not rotate.
VARIATION = AugmentConfig(
    p_rotate=0, p_far=0, p_half_body=0, p_background=0, scale_sigma=0.15, scale_limit=0.3
)


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Crops as the device would cut them.

    Attributes:
        dataset: where they come from, for the manifest.
        crops: (N, h, w, 3) uint8 BGR.
    """

    dataset: str
    crops: Image

    @property
    def sha256(self) -> str:
        """Hash over the crops' shape and pixels."""
        digest = hashlib.sha256(repr(self.crops.shape).encode())
        digest.update(self.crops.tobytes())
        return digest.hexdigest()


def draw_calibration(
    persons: Sequence[Person],
    dataset: str,
    input_size: tuple[int, int],
    n_images: int,
    seed: int,
    *,
    task: str = "top_down",
    tick: Tick = silent,
) -> CalibrationSet:
    """Draw what a network is shown of training persons, equally many of each data set.

    One person at a time: crops around seeded, different persons. Everybody in the picture: whole,
    different pictures, letterboxed as on a device.

    Args:
        persons: to choose from; those `held_out` for measuring are never taken.
        dataset: their name for the manifest.
        input_size: (w, h) px of the network.
        n_images: how many; fewer where there are not as many persons.
        seed: the same seed and persons give the same crops.
        task: of the network, see training.registry.
        tick: told of each picture.

    Raises:
        EdgePoseError: there are fewer than 16 usable pictures.
    """
    if n_images < MIN_IMAGES:
        raise EdgePoseError(f"calibration: {n_images} images asked for, at least {MIN_IMAGES}")
    rng = np.random.default_rng(seed)
    whole = task != "top_down"
    usable = [p for p in persons if not p.held_out]
    if whole:
        usable = _one_of_each_picture(persons)
    chosen = _choose(usable, n_images, rng)
    if len(chosen) < MIN_IMAGES:
        what = "training pictures" if whole else "training persons"
        raise EdgePoseError(
            f"calibration: {len(chosen)} {what} in {dataset}, at least {MIN_IMAGES} are needed"
        )
    crops = []
    for index, person in enumerate(chosen):
        tick(index, len(chosen))
        crops.append(_draw(person, input_size, rng, whole=whole))
    tick(len(chosen), len(chosen))
    useful = _useful(crops, dataset)
    if len(useful) < n_images:
        log.warning("calibration: %d of %d images are usable", len(useful), n_images)
    return CalibrationSet(dataset, np.stack(useful))


def _useful(crops: Sequence[Image], dataset: str) -> list[Image]:
    """Return those that show something."""
    useful = [image for image in crops if image.min() != image.max()]
    if len(useful) < MIN_IMAGES:
        raise EdgePoseError(
            f"calibration: {len(crops) - len(useful)} of {len(crops)} crops of {dataset} show one"
            f" flat colour, at least {MIN_IMAGES} real pictures are needed"
        )
    return useful


def _one_of_each_picture(persons: Sequence[Person]) -> list[Person]:
    """Return one person of each picture in which nobody is held out."""
    pictures = by_picture(persons).values()
    return [people[0] for people in pictures if not any(p.held_out for p in people)]


def _choose(persons: Sequence[Person], count: int, rng: np.random.Generator) -> list[Person]:
    """Take turns between the data sets, so that the largest does not crowd out the others."""
    names = sorted({person.dataset for person in persons})
    queues = []
    for name in names:
        members = [person for person in persons if person.dataset == name]
        queues.append([members[i] for i in rng.permutation(len(members))])
    chosen: list[Person] = []
    while any(queues) and len(chosen) < count:
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop())
    return chosen


def _draw(
    person: Person, input_size: tuple[int, int], rng: np.random.Generator, *, whole: bool
) -> Image:
    image = read_image(person.image)
    if whole:
        return fit_picture(image, input_size)[0]
    view = draw_view(person, (image.shape[1], image.shape[0]), input_size, VARIATION, rng)
    return crop(image, region_affine(view.region, input_size, mirror=view.mirror), input_size)
