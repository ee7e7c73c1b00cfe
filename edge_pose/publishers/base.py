"""What every publisher offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edge_pose.types import FrameResult

Message: TypeAlias = Mapping[str, object]
"""A JSON object of the MQTT contract, see edge_pose/schemas."""


@dataclass(frozen=True, slots=True)
class PublisherReport:
    """What became of the pose messages given to one publisher."""

    name: str
    target: str
    sent: int
    dropped: int


class Publisher(Protocol):
    """Takes finished results out of the process.

    With a live source no method waits. With a file, which can wait, `poses` may hold the caller up
    for a bounded time where the other side is slower, so that nothing is lost.

    `poses` and `stats` are called from one thread; `state` may be called from another one at the
    same time.

    Attributes:
        name: key in edge_pose.publishers.PUBLISHERS.
    """

    name: str

    @property
    def dropped(self) -> int:
        """Pose messages that were given to it and are lost so far."""
        ...

    def poses(self, result: FrameResult, message: Message) -> None:
        """Hand one frame's poses on; `message` follows schema `edge_pose.poses/1`."""
        ...

    def state(self, message: Message) -> None:
        """Announce a change of the camera's state (schema `edge_pose.state/1`)."""
        ...

    def stats(self, message: Message) -> None:
        """Hand on the periodic figures (schema `edge_pose.stats/1`)."""
        ...

    def close(self) -> PublisherReport:
        """Send what is queued (within a bounded time), release everything, say what was sent."""
        ...
