"""Play recorded frames at the speed at which they were taken."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """Says when frame number `index` is due, counted from the first frame asked for.

    Args:
        frame_rate: frames per second, above 0.
        clock: monotonic seconds.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        frame_rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._period_s = 1.0 / frame_rate
        self._clock = clock
        self._sleep = sleep
        self._start_s: float | None = None

    def wait(self, index: int) -> bool:
        """Sleep until the frame is due; False at once where its successor is due already."""
        now = self._clock()
        if self._start_s is None:
            self._start_s = now - index * self._period_s
        ahead_s = self._start_s + index * self._period_s - now
        if ahead_s <= -self._period_s:
            return False
        if ahead_s > 0:
            self._sleep(ahead_s)
        return True
