"""What cameras and network streams share: always the newest frame, and reconnecting for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np

from edge_pose.errors import SourceError
from edge_pose.sources.pacing import Pacer
from edge_pose.types import Frame, Image, utc_now

logger = logging.getLogger(__name__)

MAX_FAILED_READS = 3  # one damaged frame is no reason to reopen a device
MAX_BLACK_S = 2.0  # sensors warm up for some black frames; an unplugged device goes on with them
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
CLOSE_TIMEOUT_S = 2.0
SLACK_FRAMES = 5


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def isOpened(self) -> bool: ...  # noqa: D102, N802 - OpenCV's name
    def grab(self) -> bool: ...  # noqa: D102
    def retrieve(self) -> tuple[bool, Any]: ...  # noqa: D102
    def get(self, propId: int) -> float: ...  # noqa: D102, N803
    def set(self, propId: int, value: float) -> bool: ...  # noqa: D102, N803
    def release(self) -> None: ...  # noqa: D102


class LiveSource:
    """Frames of something that does not wait.

    A thread reads without a pause and keeps only the newest frame, so that neither OpenCV's nor the
    driver's buffers grow old; frames that nobody fetched show as gaps in `Frame.index`. When it
    cannot read any more, the device is reopened after 0.5 s, 1 s, 2 s … at most 30 s, until a good
    frame arrives.

    Args:
        name: for logs; must hold no password.
        connect: opens the device, or raises SourceError.
        clock: monotonic seconds.
        sleep: waits before a reconnection; by default `close` interrupts it.

    Attributes:
        connected: False from the loss of the device until its next good frame.

    Raises:
        SourceError: the first connection fails.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Capture],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.live = True
        self.connected = True
        self._stop = threading.Event()
        capture = connect()
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_rate: float | None = rate if 0.1 <= rate <= 960.0 else None
        # A clip behind a URL has an end, and would otherwise be read faster than it plays.
        self.frame_count: int | None = int(count) if 1 <= count < 2**53 else None
        finite = self.frame_count is not None and self.frame_rate is not None
        self._pacer = Pacer(self.frame_rate or 1.0, sleep=self._stop.wait) if finite else None
        self._connect = connect
        self._clock = clock
        self._sleep = sleep or self._stop.wait
        self._fresh = threading.Condition()
        self._latest: Frame | None = None
        self._ended = False
        self._error: SourceError | None = None
        self._index = 0
        self._failed_reads = 0
        self._black_since_s: float | None = None
        self._attempts = 0
        # Started here and not by frames(): buffers would fill up while a model is being loaded.
        self._thread = threading.Thread(target=self._run, args=(capture,), name=name, daemon=True)
        self._thread.start()

    def frames(self) -> Iterator[Frame]:
        """Yield the newest frame each time, waiting for one where there is none yet.

        Raises:
            SourceError: a clip of known length ended early, or reading failed in a way that
                reopening does not cure. A device that went away is waited for instead.
        """
        while True:
            with self._fresh:
                while self._latest is None and not self._ended:
                    self._fresh.wait()
                frame, self._latest = self._latest, None
            if frame is not None:
                yield frame
            elif self._error is not None and not self._stop.is_set():
                raise self._error
            else:
                return

    def close(self) -> None:
        """Stop reading and release the device; a `frames()` waiting in another thread ends at once.

        Any thread may call it, and more than once. Only the reading thread touches the device.
        """
        self._stop.set()
        with self._fresh:
            self._latest, self._ended = None, True
            self._fresh.notify_all()
        # A driver can block for seconds; the thread then releases the device when it returns.
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self, first: Capture) -> None:
        capture: Capture | None = first
        try:
            while not self._stop.is_set():
                if capture is None:
                    capture = self._reconnect()
                elif not self._step(capture):
                    capture.release()
                    capture = None
                    if self.frame_count is not None:
                        self._check_end(self.frame_count)
                        break
                    self._lost()
        except Exception as error:
            logger.debug("%s: reading failed", self.name, exc_info=True)
            problem = f"{type(error).__name__}: {error}"
            self._error = SourceError(f"{self.name}: {' '.join(problem.split())}")
        finally:
            if capture is not None:
                capture.release()
            with self._fresh:
                self._ended = True
                self._fresh.notify_all()

    def _step(self, capture: Capture) -> bool:
        """Read one frame and hand it on; False where the device has to be opened again."""
        if self._pacer is not None:
            self._pacer.wait(self._index)
        grabbed = _grab(capture)
        # The wait for a frame to arrive is no work, so the clock starts here.
        captured_at, captured_s = utc_now(), self._clock()
        image = _retrieve(capture) if grabbed else None
        if image is None:
            self._failed_reads += 1
            return self._failed_reads < MAX_FAILED_READS
        self._failed_reads = 0
        if _is_black(image):
            if self._black_since_s is None:
                self._black_since_s = captured_s
            return captured_s - self._black_since_s < MAX_BLACK_S
        self._black_since_s = None
        self._found()
        frame = Frame(
            image=image,
            index=self._index,
            captured_at=captured_at,
            captured_s=captured_s,
            capture_s=self._clock() - captured_s,
        )
        self._index += 1
        with self._fresh:
            self._latest = None if self._stop.is_set() else frame
            self._fresh.notify_all()
        return True

    def _check_end(self, count: int) -> None:
        if self._index < count - SLACK_FRAMES:
            self._error = SourceError(
                f"{self.name}: ended after frame {self._index} of {count}: the connection broke, "
                "or the clip is damaged"
            )

    def _lost(self) -> None:
        self._failed_reads = 0
        self._black_since_s = None
        with self._fresh:
            self._latest = None
        if self.connected:
            self.connected = False
            logger.warning("%s: no frames any more, reconnecting", self.name)

    def _found(self) -> None:
        if not self.connected:
            logger.warning("%s: frames again, at attempt %d", self.name, self._attempts)
        self.connected = True
        self._attempts = 0

    def _reconnect(self) -> Capture | None:
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(self._attempts, 16), MAX_DELAY_S)
        self._attempts += 1
        self._sleep(delay_s)
        if self._stop.is_set():
            return None
        try:
            return self._connect()
        except (SourceError, cv2.error) as error:
            logger.debug("%s: %s", self.name, error)
            return None


def _grab(capture: Capture) -> bool:
    try:
        return capture.grab()
    except cv2.error:  # a device that was unplugged in the middle of a read
        return False


def _retrieve(capture: Capture) -> Image | None:
    try:
        ok, image = capture.retrieve()
    except cv2.error:  # a driver handed out a buffer that is no picture
        return None
    return np.asarray(image, np.uint8) if ok and image is not None and image.size else None


def _is_black(image: Image) -> bool:
    # Every 8th pixel settles nearly every frame at 1/64 of the cost.
    return not image[::8, ::8].any() and not image.any()
