"""Who publishes when, and on which topics: the same in every process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.messages import poses_topic


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every device publishes at the same rate, each with a phase of its own.

    Cameras are switched on when somebody switches them on: phases are random, so that some devices
    publish at almost the same moment, and the same in every run.

    Attributes:
        devices: how many, numbered from 0.
        rate_hz: messages per second of each.
        warm_up_s: excluded from the figures.
        measured_s: the time after that.
        prefix: first levels of every topic, unique to one run.
        groups: devices are dealt out to so many receivers.
    """

    devices: int
    rate_hz: float
    warm_up_s: float
    measured_s: float
    prefix: str
    groups: int = 1

    @property
    def warm_up_frames(self) -> int:
        """Messages of each device that are not counted."""
        return round(self.warm_up_s * self.rate_hz)

    @property
    def frames(self) -> int:
        """Messages of each device, those of the warm-up included; one that counts at least."""
        return self.warm_up_frames + max(round(self.measured_s * self.rate_hz), 1)

    @property
    def duration_s(self) -> float:
        """From the first moment to the last."""
        return self.frames / self.rate_hz

    def due_s(self) -> NDArray[np.float64]:
        """Return (devices, frames): when each message is due, seconds after the start."""
        phases = np.random.default_rng(0).random(self.devices)
        due: NDArray[np.float64] = (phases[:, None] + np.arange(self.frames)) / self.rate_hz
        return due

    def device(self, number: int) -> str:
        """Return the name of a device."""
        return f"fleet-{number}"

    def topic(self, number: int, camera: str) -> str:
        """Return the topic that a device publishes to."""
        group = number % self.groups
        return poses_topic(f"{self.prefix}/{group}", self.device(number), camera)

    def topic_filter(self, group: int) -> str:
        """Return what the receiver of a group subscribes to."""
        return f"{self.prefix}/{group}/#"
