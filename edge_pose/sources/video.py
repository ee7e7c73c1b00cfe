"""Video files, read with OpenCV's FFmpeg."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_pose.errors import SourceError
from edge_pose.sources.pacing import Pacer
from edge_pose.sources.quiet import quiet_opencv
from edge_pose.types import Frame, utc_now

logger = logging.getLogger(__name__)

ASSUMED_RATE_HZ = 30.0
# Slower than time-lapse or faster than slow-motion cameras: a container's placeholder, not a rate.
MIN_RATE_HZ, MAX_RATE_HZ = 0.01, 960.0
# Intact files may hold a few frames less than their header says (edit lists, open GOPs).
SLACK_FRAMES = 5


class VideoSource:
    """A video file. Rotation metadata of phones is applied.

    Args:
        path: the file.
        realtime: play at the file's frame rate; frames that come too late are skipped and keep
            their index, so that they show as gaps.
        clock: monotonic seconds, for `realtime`.
        sleep: waits for some seconds, for `realtime`; by default `close` interrupts it.

    Raises:
        SourceError: the file is missing, unreadable or no video.
    """

    def __init__(
        self,
        path: Path,
        *,
        realtime: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.name = path.name
        self.live = realtime
        self._path = path
        self._clock = clock
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._lock = threading.Lock()  # OpenCV crashes when a capture is released during a read
        self._started = False
        self._capture = _open(path)
        self.frame_rate = _frame_rate(self._capture.get(cv2.CAP_PROP_FPS))
        self.frame_count = _frame_count(self._capture, self.frame_rate)
        self._rate_hz = self.frame_rate or ASSUMED_RATE_HZ
        if self.frame_rate is None:
            logger.warning("%s: no usable frame rate, %g per second assumed", path, self._rate_hz)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames from the start, `captured_s` being the moment before decoding.

        Raises:
            SourceError: no frame can be decoded, or the file ends early.
        """
        with self._lock:
            if self._started and not self._stop.is_set():
                self._capture.release()
                self._capture = _open(self._path)
            self._started = True
        pacer = Pacer(self._rate_hz, self._clock, self._sleep) if self.live else None
        index = 0
        last_ms = 0.0
        while True:
            wanted = pacer is None or pacer.wait(index)
            captured_at, captured_s = utc_now(), time.monotonic()
            with self._lock:
                if self._stop.is_set():
                    return
                ok, image = self._read(wanted)
                last_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC) if ok else last_ms
            if not ok:
                break
            if image is not None:
                yield Frame(
                    image=image,
                    index=index,
                    captured_at=captured_at,
                    captured_s=captured_s,
                    media_s=index / self._rate_hz,
                    capture_s=time.monotonic() - captured_s,
                )
            index += 1
        self._check_end(index, last_ms / 1000.0)

    def _read(self, wanted: bool) -> tuple[bool, np.ndarray | None]:
        """Return (is there a frame, its picture where it is wanted)."""
        if not self._capture.grab():
            return False, None
        if not wanted:
            return True, None
        ok, image = self._capture.retrieve()
        return (True, np.asarray(image, np.uint8)) if ok and image is not None else (False, None)

    def _check_end(self, read: int, last_s: float) -> None:
        if read == 0:
            raise SourceError(f"{self._path}: holds no frame that can be decoded")
        count = self.frame_count
        if count is None or read >= count - SLACK_FRAMES:
            return
        # Some containers give no count and OpenCV works it out as duration × average rate, which is
        # wrong for a variable rate: the file is short only if it also ends early in time.
        if last_s >= (count - SLACK_FRAMES) / self._rate_hz:
            return
        raise SourceError(
            f"{self._path}: ended after frame {read} of {count}: the file is truncated or damaged"
        )

    def close(self) -> None:
        """Release the file when no frame is being read; any thread may call it, and twice."""
        self._stop.set()
        with self._lock:
            self._capture.release()


def _open(path: Path) -> cv2.VideoCapture:
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if empty:
        raise SourceError(f"{path}: the file is empty")
    quiet_opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"{path}: not a video that can be read (damaged, cut off or another format)"
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _frame_rate(fps: float) -> float | None:
    return fps if math.isfinite(fps) and MIN_RATE_HZ <= fps <= MAX_RATE_HZ else None


def _frame_count(capture: cv2.VideoCapture, frame_rate: float | None) -> int | None:
    """Return the container's number of frames; None where it may be derived from a wrong rate."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if frame_rate is not None and 1 <= count < 2**53 else None
