"""The messages of virtual devices: poses that were really found, under other names and times."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_pose.errors import EdgePoseError, PublisherError, UsageError
from edge_pose.messages import encode, rfc3339
from edge_pose.schemas import validate_message
from edge_pose.types import utc_now

RECORDED_FRAMES = 40
# Of every message: these change from frame to frame and from device to device.
CHANGING = ("schema", "device", "camera", "frame", "captured_at")


def record_messages(source: str) -> list[dict[str, Any]]:
    """Run the shipped pipeline over a clip and return its first pose messages.

    Raises:
        EdgePoseError: the clip cannot be read.
    """
    from edge_pose.config import load_config
    from edge_pose.session import run  # the processes that send need no runtime

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "poses.jsonl"
        flags = {"source": source, "jsonl": str(file), "max_frames": RECORDED_FRAMES}
        summary = run(load_config(flags={**flags, "power": "estimate"}, env={}))
        if summary.error is not None:
            raise EdgePoseError(summary.error)
        return read_messages(file)


def read_messages(file: Path) -> list[dict[str, Any]]:
    """Read what `edge-pose run --jsonl FILE` wrote.

    Raises:
        UsageError: it cannot be read, is empty, or a line is no pose message.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    messages = []
    for number, line in enumerate(lines[:RECORDED_FRAMES], 1):
        try:
            messages.append(validate_message(line))
        except PublisherError as error:
            raise UsageError(f"{file}: line {number}: {error}") from None
        if messages[-1]["schema"] != "edge_pose.poses/1":
            raise UsageError(f"{file}: line {number}: {messages[-1]['schema']}, expected poses")
    if not messages:
        raise UsageError(f"{file}: holds no message")
    return messages


def with_people(messages: Sequence[dict[str, Any]], people: int) -> list[dict[str, Any]]:
    """Return the messages with so many people in each: poses of the frames after it are added.

    Raises:
        UsageError: nobody is in any of them.
    """
    poses = [pose for message in messages for pose in message["poses"]]
    if not poses and people:
        raise UsageError("poses: nobody is in the recorded messages, there is nothing to publish")
    made = []
    for first, message in enumerate(messages):
        chosen = (poses[(first + step) % len(poses)] for step in range(people))
        made.append({**message, "poses": [{**p, "id": n} for n, p in enumerate(chosen, 1)]})
    return made


class PoseMessages:
    """Encodes messages as a device does, with most of the work done before.

    Args:
        messages: valid pose messages, which are repeated.
    """

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        kept = [{k: v for k, v in message.items() if k not in CHANGING} for message in messages]
        self._rests = [encode(rest) for rest in kept]
        self._schema, self._camera = messages[0]["schema"], messages[0]["camera"]
        self.camera = str(self._camera)

    def payload(self, device: str, frame: int) -> bytes:
        """Return the message of one frame, captured now."""
        at = rfc3339(utc_now())
        values = (self._schema, device, self._camera, frame, at)
        head = encode(dict(zip(CHANGING, values, strict=True)))
        return head[:-1] + b"," + self._rests[frame % len(self._rests)][1:]
