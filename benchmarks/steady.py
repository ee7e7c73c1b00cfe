"""When a warming machine has settled, so that measuring may begin.

The frames are cut into windows; the machine is steady when the median of a window differs from that
of the window before by less than a tolerance. After Georges, Buytaert, Eeckhout, "Statistically
Rigorous Java Performance Evaluation" (OOPSLA 2007), who ask for a small variation within a window
of iterations; medians are compared here, because one slow frame in a window says nothing about the
warm-up (Kalibera, Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013, likewise judge
sequences and not single iterations).
"""

from __future__ import annotations

import statistics

WINDOW = 20
TOLERANCE = 0.02
AT_MOST = 400


class SteadyState:
    """Fed with latencies until it is `done`.

    Args:
        window: frames per window.
        tolerance: largest relative change of the median that counts as none.
        at_most: frames after which to give up.

    Attributes:
        medians_s: of the windows so far, in seconds.
        frames: latencies so far.
    """

    def __init__(
        self, window: int = WINDOW, tolerance: float = TOLERANCE, at_most: int = AT_MOST
    ) -> None:
        if window < 1 or not tolerance > 0 or at_most < 0:
            raise ValueError(f"window {window}, tolerance {tolerance}, at_most {at_most}")
        self.window, self.tolerance, self.at_most = window, tolerance, at_most
        self.medians_s: list[float] = []
        self.frames = 0
        self._current: list[float] = []

    def add(self, latency_s: float) -> None:
        """Take one frame's latency, in the order of the frames."""
        self.frames += 1
        self._current.append(latency_s)
        if len(self._current) == self.window:
            self.medians_s.append(statistics.median(self._current))
            self._current.clear()

    @property
    def steady(self) -> bool:
        """True where the last two windows agree."""
        if len(self.medians_s) < 2:
            return False
        before, last = self.medians_s[-2:]
        return abs(last - before) < self.tolerance * before

    @property
    def done(self) -> bool:
        """True where nothing more is to be discarded: it is steady, or patience ended."""
        return self.steady or self.frames >= self.at_most
