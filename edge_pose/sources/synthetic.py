"""A drawn figure that walks to and fro: a source with known keypoints, for tests and demos."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from edge_pose.errors import SourceError
from edge_pose.skeleton import MPII16
from edge_pose.sources.pacing import Pacer
from edge_pose.stick_figure import LimbAngles, stick_figure
from edge_pose.types import FloatArray, Frame, Image, utc_now

MIN_SIDE_PX, MAX_SIDE_PX = 32, 8192
MAX_FPS = 1000.0

STEP_HZ = 1.0  # one step cycle per second
CROSSING_S = 8.0  # from one side to the other and back

_LIMB_BGR = (60, 170, 235)
_SKIN_BGR = (140, 170, 225)
_JOINT_BGR = (245, 245, 245)
_SHIFT = 4  # fixed-point bits of OpenCV's drawing coordinates


class SyntheticSource:
    """Frames of a moving stick figure, the same for the same arguments.

    Args:
        width: px.
        height: px.
        fps: frames per second of media time.
        frame_count: endless where None.
        seed: of the background.
        realtime: deliver at `fps`, skipping late frames, instead of as fast as possible.
        clock: monotonic seconds, for `realtime`.
        sleep: waits for some seconds, for `realtime`; by default `close` interrupts it.

    Raises:
        SourceError: a number is out of range.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        fps: float = 30.0,
        frame_count: int | None = None,
        *,
        seed: int = 0,
        realtime: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if min(width, height) < MIN_SIDE_PX or max(width, height) > MAX_SIDE_PX:
            allowed = f"{MIN_SIDE_PX} to {MAX_SIDE_PX} px a side"
            raise SourceError(f"synthetic: size {width}x{height}, allowed is {allowed}")
        if not 0 < fps <= MAX_FPS:
            raise SourceError(f"synthetic: {fps:g} frames per second, allowed is up to {MAX_FPS:g}")
        if frame_count is not None and frame_count < 1:
            raise SourceError(f"synthetic: {frame_count} frames, at least 1 is needed")
        self.name = "synthetic"
        self.live = realtime
        self.frame_rate: float | None = fps
        self.frame_count = frame_count
        self._size = (width, height)
        self._fps = fps
        self._clock = clock
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._background = _background(width, height, seed)

    def keypoints_at(self, index: int) -> FloatArray:
        """Return the (16, 2) float32 MPII keypoints of a frame, px, all inside the picture."""
        width, height = self._size
        time_s = index / self._fps
        body = 0.8 * min(height, width)
        sway = math.sin(2 * math.pi * time_s / CROSSING_S)
        center = (width - 1) / 2 + sway * ((width - 1) / 2 - 0.45 * body)
        # Bent legs lift the ankles, never lower them: the lowest point is the straight leg.
        pelvis = np.array([center, (height - 1) / 2 + 0.01 * body])
        points = _figure(2 * math.pi * STEP_HZ * time_s) * body + pelvis
        return np.asarray(points, np.float32)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames from the start."""
        pacer = Pacer(self._fps, self._clock, self._sleep) if self.live else None
        index = -1
        while self.frame_count is None or index + 1 < self.frame_count:
            index += 1
            wanted = pacer is None or pacer.wait(index)
            if self._stop.is_set():
                return
            if not wanted:
                continue
            captured_at, captured_s = utc_now(), time.monotonic()
            image = self._draw(index)
            yield Frame(
                image=image,
                index=index,
                captured_at=captured_at,
                captured_s=captured_s,
                media_s=index / self._fps,
                capture_s=time.monotonic() - captured_s,
            )

    def _draw(self, index: int) -> Image:
        image = self._background.copy()
        points = self.keypoints_at(index)
        fixed = np.rint(points * (1 << _SHIFT)).astype(int)
        unit = 0.8 * min(self._size)
        limb = max(round(0.045 * unit), 2)
        for a, b in MPII16.edges:
            start, end = _xy(fixed[a]), _xy(fixed[b])
            cv2.line(image, start, end, _LIMB_BGR, limb, cv2.LINE_AA, _SHIFT)
        neck, top = points[MPII16.index("upper_neck")], points[MPII16.index("head_top")]
        head = np.rint((neck + top) / 2 * (1 << _SHIFT)).astype(int)
        radius = round(0.5 * float(np.hypot(*(top - neck))) * (1 << _SHIFT))
        cv2.circle(image, _xy(head), radius, _SKIN_BGR, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        joint = max(round(0.018 * unit * (1 << _SHIFT)), 1 << _SHIFT)
        for point in fixed:
            cv2.circle(image, _xy(point), joint, _JOINT_BGR, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        return image

    def close(self) -> None:
        """End the iteration."""
        self._stop.set()


def _figure(phase: float) -> FloatArray:
    """Return (16, 2) points around the pelvis, in body heights, y down."""
    swing = math.sin(phase)

    def limbs(lift: float) -> LimbAngles:  # arms and legs of one side swing against each other
        bend = max(lift, 0.0)
        return LimbAngles(
            0.12 + 0.25 * bend, 0.05 - 0.35 * bend, 0.45 - 0.25 * lift, 0.55 - 0.9 * lift
        )

    return stick_figure(limbs(-swing), limbs(swing), head_rad=0.15 * swing)


def _background(width: int, height: int, seed: int) -> Image:
    """Return soft dark patches, reproducible from the seed."""
    patches = np.random.default_rng(seed).integers(20, 110, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _xy(point: np.ndarray[tuple[int, ...], np.dtype[np.int_]]) -> tuple[int, int]:
    return int(point[0]), int(point[1])
