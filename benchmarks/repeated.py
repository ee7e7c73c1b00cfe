"""A clip that is played again and again until there is enough to measure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from edge_pose.metrics.latency import WINDOW
from edge_pose.sources.base import Source
from edge_pose.types import Frame

AT_MOST = WINDOW  # frames: of so many the latencies are remembered


class Repeated:
    """Plays a clip whole and without a pause, once more while less than `min_s` has passed.

    The frames' numbers and media times go on. It ends early where another play would exceed
    AT_MOST frames.

    Args:
        inner: a clip; closed with this.
        length: frames of one play; the clip's end, where it is longer, is left out.
        min_s: seconds that must have passed before it ends; 0: one play.
        clock: monotonic seconds.

    Attributes:
        expected: frames of the plays so far, had each its whole length.
    """

    def __init__(
        self,
        inner: Source,
        length: int,
        min_s: float = 0.0,
        *,
        clock: Callable[[], float] = lambda: time.monotonic(),
    ) -> None:
        self._inner, self._length, self._min_s, self._clock = inner, length, min_s, clock
        self.name, self.live, self.frame_rate = inner.name, inner.live, inner.frame_rate
        self.frame_count: int | None = None  # nobody knows before
        self.expected = 0
        self._closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of every play."""
        start_s, ahead_s = self._clock(), 0.0
        while not self._closed.is_set():
            before, read, last = self.expected, 0, None
            self.expected += self._length
            for frame in islice(self._inner.frames(), self._length):
                read += 1
                yield _later(frame, before, ahead_s)
                last = frame
            enough = self._clock() - start_s >= self._min_s
            if enough or read < self._length or self.expected + self._length > AT_MOST:
                return
            if last is not None and last.media_s is not None:
                ahead_s += last.media_s * (1.0 + 1.0 / max(last.index, 1))

    def close(self) -> None:
        """Close the clip; a `frames()` that waits in another thread ends."""
        self._closed.set()
        self._inner.close()


def _later(frame: Frame, before: int, ahead_s: float) -> Frame:
    """Return a frame with the number and the media time that it has in a later play."""
    if not before:
        return frame
    media_s = None if frame.media_s is None else frame.media_s + ahead_s
    return replace(frame, index=before + frame.index, media_s=media_s)
