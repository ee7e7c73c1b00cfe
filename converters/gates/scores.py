"""Scores of the same finds by two networks: a device decides by them what it shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_pose.types import FloatArray

ROUNDING = 0.05  # of scores; 95 % of those of sound 8-bit networks differ by 0.03 to 0.06


@dataclass(frozen=True, slots=True)
class ScorePairs:
    """Both scores of what both networks found.

    Attributes:
        expected: (M,) the checkpoint's, in [0, 1].
        found: (M,) the artifact's.
        shown: what scores as much as this is shown by a device.
    """

    expected: FloatArray
    found: FloatArray
    shown: float

    @property
    def drift_p95(self) -> float:
        """95th percentile of the differences; NaN where there are none."""
        if not len(self.expected):
            return float("nan")
        return float(np.percentile(np.abs(self.found - self.expected), 95))

    @property
    def same_side(self) -> float:
        """Share of finds that both networks would show, or neither; NaN where there are none.

        Scores right at the limit go over it at the least rounding: that does not count.
        """
        if not len(self.expected):
            return float("nan")
        crossed = (self.found >= self.shown) != (self.expected >= self.shown)
        return float(1 - (crossed & (np.abs(self.found - self.expected) > ROUNDING)).mean())
