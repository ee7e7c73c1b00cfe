"""When a warming machine has settled, so that measuring may begin, and whether it stays so.

The same frames are run again and again: how long a frame takes depends on what is in it, so only
the same ones tell whether the machine changes. It is steady when neither of the last two passes is
shifted against the one before it: by less than a tolerance, or by no more than the frames scatter
(the sign test on pairs of the same frame, 95 %). After Georges, Buytaert, Eeckhout, "Statistically
Rigorous Java Performance Evaluation" (OOPSLA 2007), who ask for a small variation among the last
iterations; scatter is no warm-up, so it does not keep a noisy machine from being steady.

A pass lasts a fraction of a second, so other work may slow all of it: frames then move together,
and pairs show a shift that is none of the machine's own. Where patience ends, the medians of the
last passes decide instead: it is steady where they show no trend.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

WINDOW = 40
TOLERANCE = 0.02
AT_MOST = 400
CALM = 2  # pairs of passes in a row without a shift
FEW = 6  # pairs, of which fewer cannot pass the sign test
TREND = 7  # passes at least in which a trend is looked for; of fewer it is too often overlooked
QUANTILE = 1.96  # of the normal distribution, 95 % between both ends


class SteadyState:
    """Fed with the latencies of passes over the same frames until it is `done`.

    Args:
        window: frames per pass; one that is cut short is discarded, and tells nothing.
        tolerance: largest relative shift that counts as none.
        at_most: frames after which to give up.

    Attributes:
        medians_s: of the passes so far, in seconds.
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
        self._last: Sequence[float] = ()
        self._calm = 0

    def add(self, latencies_s: Sequence[float]) -> None:
        """Take one pass, in the order of the frames."""
        self.frames += len(latencies_s)
        if len(latencies_s) < self.window:
            return
        if self._last:
            self._calm = 0 if self._shifted(self._last, latencies_s) else self._calm + 1
        self.medians_s.append(statistics.median(latencies_s))
        self._last = latencies_s

    @property
    def steady(self) -> bool:
        """True where the last passes agree; at the end of patience, where they have no trend."""
        return self._calm >= CALM or (self.frames >= self.at_most and self._level())

    @property
    def done(self) -> bool:
        """True where nothing more is to be discarded: it is steady, or patience ended."""
        return self.steady or self.frames >= self.at_most

    def _level(self) -> bool:
        recent = self.medians_s[-max(TREND, len(self.medians_s) // 2) :]
        return len(recent) >= TREND and drift(recent, self.tolerance) is None

    def _shifted(self, before_s: Sequence[float], after_s: Sequence[float]) -> bool:
        pairs = list(zip(before_s, after_s, strict=True))
        # A coarse clock may say 0.
        change = statistics.median(after / max(before, 1e-9) for before, after in pairs) - 1.0
        slower, faster = (sum(sign * (b - a) > 0 for a, b in pairs) for sign in (1, -1))
        shown = abs(slower - faster) - 1 > QUANTILE * math.sqrt(slower + faster)
        return abs(change) >= self.tolerance and (shown or len(pairs) < FEW)


def drift(repeats: Sequence[float], tolerance: float = TOLERANCE) -> float | None:
    """Return by what part repeats rose or fell from the first to the last; None without a trend.

    A slow trend, as of a board that heats up for minutes, is below the tolerance from pass to pass
    and widens every interval. It is one where the Mann-Kendall test says so at 95 %
    ("Nonparametric tests against trend", Econometrica 1945, with its correction for continuity) and
    the change exceeds the tolerance. Four repeats are too few for the test.
    """
    n = len(repeats)
    score = sum((b > a) - (b < a) for a, b in itertools.combinations(repeats, 2))
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    if abs(score) - 1 < QUANTILE * deviation or repeats[0] <= 0:
        return None
    change = repeats[-1] / repeats[0] - 1.0
    return change if abs(change) > tolerance and (change > 0) == (score > 0) else None
