"""Frames from a capturing thread, so that capture overlaps with inference."""

from __future__ import annotations

import queue
import threading
from types import TracebackType

from edge_pose.sources.base import Source
from edge_pose.types import Frame

DEPTH = 4  # frames decoded ahead of a file
POLL_S = 0.1  # how soon a blocked capture thread notices that the run is over


class FrameQueue:
    """Reads a source in a thread.

    A live source never waits: when the consumer is late the older frame is dropped and counted, so
    that what is processed is always the newest picture. A file waits and drops nothing of its own.

    Args:
        source: open source; it stays open.
    """

    def __init__(self, source: Source) -> None:
        self.dropped = 0
        self._source = source
        self._queue: queue.Queue[Frame | None] = queue.Queue(1 if source.live else DEPTH)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> FrameQueue:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def get(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None at the end of the source.

        Raises:
            TimeoutError: no frame within `timeout_s`.
            SourceError: the source broke; the frames before that were handed out.
        """
        try:
            frame = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def _run(self) -> None:
        last = -1
        try:
            for frame in self._source.frames():
                self.dropped += max(frame.index - last - 1, 0)  # skipped by the source itself
                last = frame.index
                if not self._put(frame):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer by get()
            self._error = error
        self._put(None)

    def _put(self, frame: Frame | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(frame, timeout=0 if self._source.live and frame else POLL_S)
            except queue.Full:
                if self._source.live and frame is not None:
                    self._drop_oldest()
            else:
                return True
        return False

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
            self.dropped += 1
        except queue.Empty:  # the consumer was quicker
            pass
