"""The annotated video: every frame with its skeletons drawn over it."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from edge_pose.drawing import draw_poses
from edge_pose.errors import PublisherError
from edge_pose.publishers.base import Message, PublisherReport
from edge_pose.publishers.output_file import prepare_output
from edge_pose.publishers.real_time import RealTime
from edge_pose.skeleton import KeypointFormat
from edge_pose.sources.quiet import quiet_opencv
from edge_pose.types import FrameResult, Image

logger = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")
CODECS = ("mp4v", "MJPG")  # both are in every OpenCV wheel; MJPG is the larger file
DEFAULT_FRAME_RATE = 25.0
QUEUE_FRAMES = 8
CLOSE_S = 30.0
WAIT_S = 30.0  # for an encoder that is stuck; once, and not once per frame


class VideoPublisher:
    """Draws and encodes in a thread of its own, so that the frame loop does not wait for it.

    The first frame sets the size; later ones of another size are fitted into it. A film of a live
    source keeps real time: where frames were dropped, the picture before them stands still for as
    long (at most 2 s). A film of a file has exactly one picture per result.

    Args:
        path: the file; missing parent folders are created.
        keypoint_format: of the poses.
        min_score: keypoints below it are not drawn.
        frame_rate: frames per second of the file; None or nonsense takes 25.
        block: True for files: `poses` waits for a slow encoder. False for live sources: it drops
            the frame.
        overwrite: replace a file that exists.

    Raises:
        PublisherError: the file cannot be written, its ending is unknown, or no codec is there
            (the last one from the first call of `poses`).
    """

    name = "video"

    def __init__(
        self,
        path: Path,
        keypoint_format: KeypointFormat,
        *,
        min_score: float = 0.3,
        frame_rate: float | None = None,
        block: bool = False,
        overwrite: bool = True,
    ) -> None:
        if path.suffix.lower() not in SUFFIXES:
            endings = ", ".join(SUFFIXES)
            raise PublisherError(f"{path}: unknown kind of video, expected one of {endings}")
        prepare_output(path, overwrite=overwrite)
        self._path = path
        self._keypoint_format = keypoint_format
        self._min_score = min_score
        usable = frame_rate is not None and math.isfinite(frame_rate) and frame_rate > 0
        self._frame_rate = frame_rate if frame_rate and usable else DEFAULT_FRAME_RATE
        self._block = block
        self._patient = True
        self._real_time = None if block else RealTime(self._frame_rate)
        self._queue: queue.Queue[FrameResult | None] = queue.Queue(QUEUE_FRAMES)
        self._thread: threading.Thread | None = None
        self._given = 0
        self._written = 0
        self._refused = 0  # counted in the frame loop
        self._failed = 0  # counted in the thread
        self._report: PublisherReport | None = None

    @property
    def dropped(self) -> int:
        """Frames that are missing in the video so far."""
        if self._report is not None:
            return self._report.dropped
        return self._refused + self._failed

    def poses(self, result: FrameResult, message: Message) -> None:  # noqa: ARG002 - the protocol's
        """Queue one frame."""
        self._given += 1
        if self._thread is None:
            self._thread = self._start(result.frame.image)
        wait_s = WAIT_S if self._block and self._patient else 0.0
        self._patient = self._put(result, wait_s)
        self._refused += not self._patient

    def state(self, message: Message) -> None:
        """Not part of a video."""

    def stats(self, message: Message) -> None:
        """Not part of a video."""

    def close(self) -> PublisherReport:
        """Write what is queued and finish the file; calling it twice is allowed."""
        if self._report is None:
            if self._thread is not None:
                self._finish(self._thread)
            lost = self._given - self._written
            self._report = PublisherReport(self.name, str(self._path), self._written, lost)
        return self._report

    def _finish(self, thread: threading.Thread) -> None:
        self._put(None, CLOSE_S)
        thread.join(CLOSE_S)
        if thread.is_alive():
            logger.error("%s: not finished within %g s", self._path, CLOSE_S)
        elif self._written and not readable(self._path):
            # OpenCV does not tell its caller when a write fails.
            logger.error("%s: cannot be read back: is the disk full?", self._path)
            self._written = 0

    def _start(self, first: Image) -> threading.Thread:
        height, width = (side - side % 2 for side in first.shape[:2])  # encoders want even sides
        writer = self._open(width, height)
        thread = threading.Thread(
            target=self._write, args=(writer, width, height), name="video", daemon=True
        )
        thread.start()
        return thread

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        quiet_opencv()  # a full disk would be a line per frame
        if min(width, height) >= 2:
            for codec in CODECS:
                fourcc = cv2.VideoWriter.fourcc(*codec)
                writer = cv2.VideoWriter(str(self._path), fourcc, self._frame_rate, (width, height))
                if writer.isOpened():
                    return writer
        codecs = ", ".join(CODECS)
        problem = f"no video writer for {width}x{height} px (tried {codecs})"
        raise PublisherError(f"{self._path}: {problem}")

    def _put(self, item: FrameResult | None, wait_s: float) -> bool:
        """Queue an item; False when there is no space in time, or nobody left who takes it."""
        deadline_s = time.monotonic() + wait_s
        while self._thread is not None and self._thread.is_alive():
            remaining_s = deadline_s - time.monotonic()
            try:
                self._queue.put(item, timeout=min(max(remaining_s, 0.0), 1.0))
                return True
            except queue.Full:
                if remaining_s <= 0:
                    return False
        return False

    def _write(self, writer: cv2.VideoWriter, width: int, height: int) -> None:
        before: Image | None = None
        try:
            while (result := self._queue.get()) is not None:
                try:
                    picture = fit(self._draw(result), width, height)
                    for _ in range(self._missing_before(result)):
                        writer.write(picture if before is None else before)
                    writer.write(picture)
                    before = picture
                    self._written += 1
                except cv2.error as error:
                    if not self._failed:
                        logger.error("%s: frame left out: %s", self._path, error.err)
                    self._failed += 1
        except Exception as error:  # noqa: BLE001 - the frame loop goes on without the film
            logger.error("%s: ends here: %s: %s", self._path, type(error).__name__, error)
        finally:
            writer.release()

    def _missing_before(self, result: FrameResult) -> int:
        return 0 if self._real_time is None else self._real_time.missing(result.frame.time_s)

    def _draw(self, result: FrameResult) -> Image:
        return draw_poses(result.frame.image, result.poses, self._keypoint_format, self._min_score)


def fit(image: Image, width: int, height: int) -> Image:
    """Return the picture at exactly `width` x `height` px: cropped by one px or put on black."""
    h, w = image.shape[:2]
    if (w - w % 2, h - h % 2) == (width, height):
        return image[:height, :width]
    scale = min(width / w, height / h)
    new_w, new_h = max(1, round(w * scale)), max(1, round(h * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - new_w) // 2, (height - new_h) // 2
    canvas[top : top + new_h, left : left + new_w] = cv2.resize(image, (new_w, new_h))
    return canvas


def readable(path: Path) -> bool:
    """Return True where the file can be opened as a video."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return False
    except OSError:
        return False
    capture = cv2.VideoCapture(str(path))
    try:
        return bool(capture.isOpened())
    finally:
        capture.release()
