"""How long each picture of a live recording has to stand, so that the film keeps real time."""

from __future__ import annotations

import math

MAX_GAP_S = 2.0  # a longer gap, for example a camera that was away, is shortened to this
# A picture may be late by this part of a frame's time and counts as being on time: cameras jitter.
TOLERANCE = 0.75


class RealTime:
    """Counts the frames of a film that has a fixed rate.

    Args:
        rate_hz: frames per second of the film.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._longest = max(round(MAX_GAP_S * rate_hz), 1)
        self._start_s: float | None = None
        self._frames = 0

    def missing(self, time_s: float) -> int:
        """Return how many frames the film lacks before the picture of this time, at least 0.

        These and the picture itself count as written from here on.

        Args:
            time_s: of the picture, on the clock of the pictures before.
        """
        if self._start_s is None:
            self._start_s = time_s
        behind = (time_s - self._start_s) * self._rate_hz - self._frames
        missing = max(math.floor(behind + 1.0 - TOLERANCE), 0)
        if missing > self._longest:
            self._start_s += (missing - self._longest) / self._rate_hz
            missing = self._longest
        self._frames += missing + 1
        return missing
