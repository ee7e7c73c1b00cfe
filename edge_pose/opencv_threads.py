"""OpenCV's own threads, which are the same for the whole process."""

from __future__ import annotations

import threading

import cv2


class _OneThread:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = self._before = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                cv2.setNumThreads(self._before)


one_opencv_thread = _OneThread()
"""Use it in a `with` statement to keep OpenCV from waking every core for a crop of 0.1 ms.

The cores have other work. Blocks may overlap, in several threads, too: the first one in notes how
many threads there were, the last one out brings them back.
"""
