"""Frames from a capturing thread, so that capture overlaps with inference."""

from __future__ import annotations

from collections.abc import Iterator

from edge_pose.handover import Handover
from edge_pose.sources.base import Source
from edge_pose.types import Frame

DEPTH = 4  # frames decoded ahead of a file


class FrameQueue(Handover[Frame]):
    """Reads a source in a thread.

    A live source never waits: when the consumer is late the older frame is dropped and counted, so
    that what is processed is always the newest picture. A file waits and drops nothing of its own.

    Args:
        source: open source; it is closed on leaving the `with` block, which also wakes it where it
            waits for a device.
    """

    def __init__(self, source: Source) -> None:
        depth = 1 if source.live else DEPTH
        super().__init__(
            self._frames(source), depth, newest=source.live, cancel=source.close, name="capture"
        )

    def _frames(self, source: Source) -> Iterator[Frame]:
        last = -1
        for frame in source.frames():
            self.dropped += max(frame.index - last - 1, 0)  # skipped by the source itself
            last = frame.index
            yield frame
