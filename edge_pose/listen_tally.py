"""What a listener has received: per camera, per device, and what was wrong."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_pose.subscriber import Received  # loads paho

RATE_WINDOW_S = 3.0


@dataclass(slots=True)
class CameraTally:
    """Pose messages of one camera.

    Attributes:
        poses: how many there were.
        min_frame: lowest frame number; None before the first message.
        max_frame: highest frame number.
        persons: in the newest message.
        max_persons: the most in one message.
        best_score: of the newest message; None where nobody is in it.
        latency_ms: of the newest message.
        state: as announced: running, stale, no_source or paused; None where it was not.
        arrivals_s: times of the messages of the last three seconds, monotonic clock.
    """

    poses: int = 0
    min_frame: int | None = None
    max_frame: int | None = None
    persons: int = 0
    max_persons: int = 0
    best_score: float | None = None
    latency_ms: float = 0.0
    state: str | None = None
    arrivals_s: collections.deque[float] = field(default_factory=collections.deque)

    def add(self, message: dict[str, Any], now_s: float) -> None:
        """Count a pose message that arrived at `now_s` on the monotonic clock."""
        frame = int(message["frame"])
        self.poses += 1
        self.min_frame = frame if self.min_frame is None else min(self.min_frame, frame)
        self.max_frame = frame if self.max_frame is None else max(self.max_frame, frame)
        self.persons = len(message["poses"])
        self.max_persons = max(self.max_persons, self.persons)
        self.best_score = max((pose["score"] for pose in message["poses"]), default=None)
        self.latency_ms = message["latency_ms"]
        self.arrivals_s.append(now_s)
        self._forget(now_s)

    def rate_hz(self, now_s: float) -> float:
        """Return messages per second over the last three seconds."""
        self._forget(now_s)
        span_s = now_s - self.arrivals_s[0] if self.arrivals_s else 0.0
        return (len(self.arrivals_s) - 1) / span_s if span_s > 0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self.arrivals_s and now_s - self.arrivals_s[0] > RATE_WINDOW_S:
            self.arrivals_s.popleft()


@dataclass(slots=True)
class Tally:
    """Everything that was received.

    Attributes:
        messages: of every kind, valid or not.
        invalid: those that break the contract.
        cameras: by "device/camera".
        devices: online or offline by device.
        gone_offline: True once a device that was online has said goodbye or was lost, and no
            other is left; what the broker had kept from before does not count.
    """

    messages: int = 0
    invalid: int = 0
    cameras: dict[str, CameraTally] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    gone_offline: bool = False

    @property
    def poses(self) -> int:
        """Valid pose messages."""
        return sum(camera.poses for camera in self.cameras.values())

    def add(self, received: Received, now_s: float) -> None:
        """Count one message."""
        self.messages += 1
        message = received.message
        if message is None:
            self.invalid += 1
            return
        kind = str(message["schema"])
        if kind == "edge_pose.status/1":
            self.devices[message["device"]] = message["state"]
            nobody = "online" not in self.devices.values()
            self.gone_offline = nobody and not received.retained
            return
        if kind == "edge_pose.power/1":  # of a plug: it knows no cameras
            return
        camera = self.cameras.setdefault(f"{message['device']}/{message['camera']}", CameraTally())
        if kind == "edge_pose.poses/1":
            camera.add(message, now_s)
        elif kind == "edge_pose.state/1":
            camera.state = message["state"]

    def summary(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return {
            "messages": self.messages,
            "invalid": self.invalid,
            "poses": self.poses,
            "cameras": {
                name: {
                    "poses": camera.poses,
                    "min_frame": camera.min_frame,
                    "max_frame": camera.max_frame,
                    "max_persons": camera.max_persons,
                    "state": camera.state,
                }
                for name, camera in sorted(self.cameras.items())
            },
            "devices": dict(sorted(self.devices.items())),
        }

    def line(self) -> str:
        """Return the counts in one line."""
        cameras = len(self.cameras)
        return (
            f"{self.messages} messages, {self.poses} of them poses of {cameras} "
            f"camera{'' if cameras == 1 else 's'}, {self.invalid} invalid"
        )
