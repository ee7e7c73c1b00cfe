"""Keep OpenCV's and FFmpeg's own messages off stderr: edge_pose says in one line what is wrong."""

from __future__ import annotations

import os

import cv2.utils.logging


def quiet_opencv() -> None:
    """Silence warnings of OpenCV and FFmpeg, unless the user has set a log level himself.

    FFmpeg's level is read by OpenCV when it opens its first video, so call this before.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
