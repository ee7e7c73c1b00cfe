"""Sources that feed a clip as a benchmark wants it: one frame at a time, or like a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice

from edge_pose.sources.base import Source
from edge_pose.sources.pacing import Pacer
from edge_pose.types import Frame


class OneAtATime:
    """Reads a frame when the result of the one before was published: MLPerf's "single stream".

    Nothing overlaps, so that the time from capture to published is the sum of the stages.

    Args:
        inner: a clip; closed with this.
    """

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self.name, self.live = inner.name, False
        self.frame_rate, self.frame_count = inner.frame_rate, inner.frame_count
        self._wanted = threading.Semaphore(1)
        self._closed = False

    def published(self) -> None:
        """Let the next frame be read."""
        self._wanted.release()

    def frames(self) -> Iterator[Frame]:
        """Yield the clip's frames, each when it is wanted."""
        frames = self._inner.frames()
        while True:
            self._wanted.acquire()
            frame = None if self._closed else next(frames, None)
            if frame is None:
                return
            yield frame

    def close(self) -> None:
        """Close the clip and wake whoever waits."""
        self._closed = True
        self._wanted.release()
        self._inner.close()


class Camera:
    """Plays a clip at a fixed rate, whatever its own: late frames are dropped, as a camera does.

    A frame's `captured_s` is the moment at which the camera takes it, however late it is read.

    Args:
        inner: a clip; closed with this.
        rate_hz: frames per second, above 0.
        max_frames: the camera is switched off after so many.
        clock: monotonic seconds, the clock that results are timed with.
        sleep: waits for some seconds; by default `close` interrupts it.

    Attributes:
        offered: frames that the camera took so far.
    """

    def __init__(
        self,
        inner: Source,
        rate_hz: float,
        max_frames: int | None = None,
        *,
        clock: Callable[[], float] = lambda: time.monotonic(),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._inner, self._max_frames = inner, max_frames
        self.name, self.live = inner.name, True
        self.frame_rate: float | None = rate_hz
        self.frame_count = inner.frame_count
        self.offered = 0
        self._clock = clock
        self._stop = threading.Event()
        self._pacer = Pacer(rate_hz, clock, sleep or self._stop.wait)
        self._period_s = 1.0 / rate_hz

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are not overtaken by their successors."""
        frames = islice(self._inner.frames(), self._max_frames)
        start_s = self._clock()
        for index in count():
            on_time = self._pacer.wait(index)
            frame = None if self._stop.is_set() else next(frames, None)
            if frame is None:
                return
            self.offered += 1
            if on_time:
                yield replace(frame, captured_s=start_s + index * self._period_s)

    def close(self) -> None:
        """Close the clip; a `frames()` that waits in another thread ends."""
        self._stop.set()
        self._inner.close()
