"""What the trainer asks of a task: samples, a loss, and a figure of merit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn
from torch.utils.data import Dataset

from training.checkpoint import CheckpointInfo
from training.samples import Group

Batch: TypeAlias = tuple[Tensor, ...]
"""Images (N, 3, h, w) float32, then whatever the task's loss needs."""


class Task(Protocol):
    """A kind of network and the data that it learns from.

    Attributes:
        samples: map-style, addressed by training.samples.Key; the key holds all randomness.
        groups: sample indices and how often an epoch shows each of them.
        trained_on: per data set the annotation indices in use, see checkpoint.pack_persons.
        data_sha256: hash over the annotations in use.
    """

    samples: Dataset[Any]
    groups: Sequence[Group]
    trained_on: dict[str, str]
    data_sha256: str

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Stack samples into one batch."""
        ...

    def loss(self, model: nn.Module, batch: Batch, sigma: float) -> Tensor:
        """Run the model and return a scalar, in float32.

        Args:
            model: the network; autocast is on where the recipe asks for it.
            batch: of `collate`, on the model's device.
            sigma: of the Gaussian targets, heatmap px.
        """
        ...

    def measure(
        self, model: nn.Module, info: CheckpointInfo, *, trained: bool = False
    ) -> dict[str, float]:
        """Measure the model, in percent; the first figure is the one that counts.

        Args:
            model: the network, in evaluation mode.
            info: how it wants its input.
            trained: measure on samples that it is trained on, in place of those held out from
                training. Neither are validation data.

        Returns:
            Figures by name; empty where nobody is held out.
        """
        ...
