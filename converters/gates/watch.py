"""A network that is watched while it runs: what its outputs are, and if they are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edge_pose.types import FloatArray
from training.predictors import Network, Tensor

KEPT_MAPS = 32  # pictures whose maps are kept to be compared: of thousands they would fill memory


class Watch:
    """Hands outputs on with 0 in the place of what is no number; see training.predictors.Network.

    Args:
        network: that is watched.
        pictures: how many it will see.

    Attributes:
        low: smallest output so far.
        high: largest output so far.
        inputs: pictures seen so far.
        broken: of these, pictures with outputs that are no numbers.
        kept: outputs of KEPT_MAPS pictures, evenly spread, per picture (C, h, w) each.
    """

    def __init__(self, network: Network, pictures: int) -> None:
        self.network, self.pictures = network, pictures
        places = np.linspace(0, pictures - 1, min(KEPT_MAPS, pictures)).round()
        self._wanted = frozenset(places.astype(int).tolist())
        self.name, self.task = network.name, network.task
        self.trained_on: Mapping[str, str] = network.trained_on
        self.spec, self.stride = network.spec, network.stride
        self.heatmap_kind, self.keypoints = network.heatmap_kind, network.keypoints
        self.low, self.high = math.inf, -math.inf
        self.inputs = self.broken = 0
        self.kept: list[tuple[FloatArray, ...]] = []

    def maps(self, tensor: Tensor) -> list[FloatArray]:
        """Run a batch."""
        outputs = self.network.maps(tensor)
        sound = [np.isfinite(output) for output in outputs]
        good = [s.reshape(len(s), -1).all(axis=1) for s in sound]
        self.broken += int((~np.logical_and.reduce(good)).sum())
        cleaned = [
            np.where(numbers, output, 0).astype(np.float32)
            for output, numbers in zip(outputs, sound, strict=True)
        ]
        for output in cleaned:
            self.low = min(self.low, float(output.min()))
            self.high = max(self.high, float(output.max()))
        self.kept += [
            tuple(output[i] for output in cleaned)
            for i in range(len(tensor))
            if self.inputs + i in self._wanted
        ]
        self.inputs += len(tensor)
        return cleaned

    def heatmaps(self, tensor: Tensor) -> FloatArray:
        """Run a batch."""
        return self.maps(tensor)[-1]

    def resized(self, size: tuple[int, int]) -> Watch:
        """See Network."""
        return Watch(self.network.resized(size), self.pictures)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest output."""
        return round(self.low, 3), round(self.high, 3)
