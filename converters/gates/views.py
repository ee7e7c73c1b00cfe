"""The gate's pictures as networks are shown them: cut once, and kept as far as memory allows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.steps import Tick, silent
from edge_pose.preprocess import Affine, Region, crop, region_affine
from edge_pose.types import Image
from edge_pose.whole_picture import fit_picture
from training.samples import read_image

CACHE_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class View:
    """One input.

    Attributes:
        image: (h, w, 3) uint8 BGR, of the network's input size.
        matrix: picture px -> input px.
        picture_size: (w, h) px of the picture.
    """

    image: Image
    matrix: Affine
    picture_size: tuple[int, int]


class Views:
    """Inputs in a fixed order.

    Args:
        looks: picture, and the region to look at; None: all of it.
        size: (w, h) px of the network's input.
        tick: told of each input while they are cut, and again while they are `counted`.

    Attributes:
        sha256: over all pixels.

    Raises:
        DatasetError: a picture is missing or damaged.
    """

    def __init__(
        self,
        looks: Sequence[tuple[Path, Region | None]],
        size: tuple[int, int],
        tick: Tick = silent,
    ) -> None:
        self._looks, self._size, self._tick = looks, size, tick
        room = CACHE_BYTES // (size[0] * size[1] * 3)
        self._kept: list[View] = []
        digest = hashlib.sha256()
        for i in range(len(looks)):
            tick(i, len(looks))
            view = self._cut(i)
            digest.update(view.image.tobytes())
            if i < room:
                self._kept.append(view)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._looks)

    def __iter__(self) -> Iterator[View]:
        """Yield every input."""
        yield from self._kept
        for i in range(len(self._kept), len(self._looks)):
            yield self._cut(i)

    def counted(self) -> Iterator[View]:
        """Yield every input to something that takes its time, and tell how far it is."""
        for i, view in enumerate(self):
            self._tick(i, len(self))
            yield view
        self._tick(len(self), len(self))

    def _cut(self, i: int) -> View:
        path, region = self._looks[i]
        picture = read_image(path)
        size = (picture.shape[1], picture.shape[0])
        if region is None:
            return View(*fit_picture(picture, self._size), size)
        matrix = region_affine(region, self._size)
        return View(crop(picture, matrix, self._size), matrix, size)
