"""Network cameras: RTSP, HTTP (MJPEG, HLS, files) and what else FFmpeg reads from a URL."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import cv2

from edge_pose.errors import SourceError
from edge_pose.sources.live import Capture, LiveSource
from edge_pose.sources.quiet import quiet_opencv
from edge_pose.sources.urls import public_uri

SCHEMES = ("http", "https", "rtmp", "rtsp", "rtsps", "udp")
TIMEOUT_S = 10.0


class StreamSource(LiveSource):
    """A stream; always its newest frame, reconnected when it breaks (see LiveSource).

    Args:
        url: its user, password and query never appear in names, messages or logs.
        timeout_s: how long opening and each read may take before the stream counts as lost.
        clock: monotonic seconds.
        sleep: waits before a reconnection.

    Raises:
        SourceError: unknown kind of address, or no stream there.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        name = public_uri(url)
        if url.partition("://")[0].lower() not in SCHEMES:
            raise SourceError(f"{name}: unknown kind of address (known: {', '.join(SCHEMES)})")
        if name.endswith("://…"):
            raise SourceError(f"{name}: not a valid address")
        connect = functools.partial(_connect, url, name, timeout_s)
        super().__init__(name, connect, clock=clock, sleep=sleep)


def _connect(url: str, name: str, timeout_s: float) -> Capture:
    quiet_opencv()
    timeout_ms = round(timeout_s * 1000)
    options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms]
    options += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{name}: no stream (is the address right, reachable and not protected?)")
    return capture
