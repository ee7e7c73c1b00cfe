"""Local cameras through OpenCV, on Linux with V4L2."""

from __future__ import annotations

import functools
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from edge_pose.errors import SourceError
from edge_pose.sources.live import Capture, LiveSource
from edge_pose.sources.quiet import quiet_opencv


def open_opencv_camera(device: int | str) -> Capture:
    """Return OpenCV's capture of a camera index or device path."""
    quiet_opencv()
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    if isinstance(device, int):
        return cv2.VideoCapture(device, backend)
    return cv2.VideoCapture(device, backend)


class CameraSource(LiveSource):
    """A camera; always its newest frame, reopened when it goes away (see LiveSource).

    Args:
        device: index (0 is /dev/video0) or a path such as /dev/v4l/by-id/….
        width: px to ask for; the camera may choose the nearest that it can.
        height: px to ask for.
        fps: frames per second to ask for.
        dev_root: where device files live.
        open_capture: opens a device; a fake in tests.
        clock: monotonic seconds.
        sleep: waits before a reconnection.

    Raises:
        SourceError: the camera does not exist or cannot be opened.
    """

    def __init__(
        self,
        device: int | str = 0,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        dev_root: Path = Path("/dev"),
        open_capture: Callable[[int | str], Capture] = open_opencv_camera,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        request: dict[int, float] = {}
        if width and height:
            # Raw 4:2:2 fills USB 2 at 640x480 and 30 per second; cameras send more as JPEG only.
            request[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*"MJPG")
            request |= {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}
        if fps:
            request[cv2.CAP_PROP_FPS] = fps
        request[cv2.CAP_PROP_BUFFERSIZE] = 1
        connect = functools.partial(_connect, device, request, dev_root, open_capture)
        super().__init__(f"camera {device}", connect, clock=clock, sleep=sleep)


def _connect(
    device: int | str,
    request: dict[int, float],
    dev_root: Path,
    open_capture: Callable[[int | str], Capture],
) -> Capture:
    capture = open_capture(device)
    if not capture.isOpened():
        capture.release()
        raise SourceError(_why_not(device, dev_root))
    for prop, value in request.items():
        capture.set(prop, value)
    return capture


def _why_not(device: int | str, dev_root: Path) -> str:
    node = f"video{device}" if isinstance(device, int) else device.removeprefix("/dev/")
    if (dev_root / node).exists():
        return (
            f"camera {device}: exists but cannot be opened: it is in use, is no capture device, "
            "or this user is not in the group 'video'"
        )
    nodes = [path for path in dev_root.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    nodes.sort(key=lambda path: int(path.name[5:]))
    found = ", ".join(f"/dev/{path.name}" for path in nodes)
    if not found:
        return f"camera {device}: no such camera (there is no /dev/video*: is one plugged in?)"
    return f"camera {device}: no such camera (found: {found})"
