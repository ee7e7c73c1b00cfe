"""What every frame source offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge_pose.types import Frame


class Source(Protocol):
    """A camera, a file, a folder or a generator of frames.

    Attributes:
        name: short name for logs, for example the file's name.
        live: True where frames arrive in real time, so that late ones are dropped.
        frame_rate: frames per second; None where unknown.
        frame_count: number of frames; None where unknown or endless.
    """

    name: str
    live: bool
    frame_rate: float | None
    frame_count: int | None

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the source ends.

        Raises:
            SourceError: the source breaks in the middle.
        """
        ...

    def close(self) -> None:
        """Release the device or file; calling it twice is allowed.

        Any thread may call it: a `frames()` that waits in another thread then ends at once.
        """
        ...
