"""Energy of readings over time, and how far off it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_pose.power.base import Accuracy

COVERAGE = 2.0  # an interval of ± 2 standard uncertainties holds about 95 % (GUM, JCGM 100:2008)


@dataclass(slots=True)
class Integral:
    """Adds readings up, in constant memory.

    Attributes:
        energy_j: J from the first to the last reading.
        start_s: time of the first one.
        last_s: time of the last one.
        last_w: its power.
        samples: readings.
        min_w: smallest reading within the time; infinite before there is one.
        max_w: largest one.
        inside: True where the sensor itself integrates between two readings.
    """

    energy_j: float = 0.0
    start_s: float = 0.0
    last_s: float = 0.0
    last_w: float = 0.0
    samples: int = 0
    min_w: float = math.inf
    max_w: float = -math.inf
    inside: bool = False
    _squares: float = 0.0  # of the differences between neighbours, W²

    def add(
        self,
        time_s: float,
        power_w: float,
        *,
        mean: bool = False,
        step_j: float | None = None,
        brief: bool = False,
    ) -> None:
        """Add a reading.

        Args:
            time_s: not before the previous one.
            power_w: of that moment, joined to the previous one by a straight line (trapezoid).
            mean: it is the mean since the previous reading instead.
            step_j: J since the previous reading where the sensor counts them; they are taken as
                they are.
            brief: the mean of a time too short for it to be one of the extremes.
        """
        self.inside = mean
        if self.samples == 0:
            self.start_s = time_s
        else:
            level_w = power_w if mean else (self.last_w + power_w) / 2.0
            self.energy_j += level_w * (time_s - self.last_s) if step_j is None else step_j
        if self.samples > 1 or (self.samples == 1 and not mean):
            self._squares += (power_w - self.last_w) ** 2
        # A first mean is of the time before the start.
        if (self.samples > 0 or not mean) and not brief:
            self.min_w, self.max_w = min(self.min_w, power_w), max(self.max_w, power_w)
        self.last_s, self.last_w = time_s, power_w
        self.samples += 1

    @property
    def duration_s(self) -> float:
        """Time from the first to the last reading."""
        return self.last_s - self.start_s

    @property
    def mean_w(self) -> float:
        """Mean power over `duration_s`; the last reading where that is 0."""
        return self.energy_j / self.duration_s if self.duration_s > 0 else self.last_w

    def uncertainty_w(self, accuracy: Accuracy) -> float | None:
        """Return the expanded uncertainty of `mean_w` in W (95 %); None where it is not known.

        It is not within one update of the sensor: all readings may be one and the same.

        It is twice the root of the sum of the squares of

        - (relative·P)/√3 and offset/√3: the sensor's limits of error, which no repetition reduces;
        - resolution/√12;
        - s/√n where readings are of the moment: s is the spread between neighbours,
          sqrt(Σ(Pᵢ₊₁ − Pᵢ)² / (2(n − 1))), which a slow change of load does not blow up;
        - x·update·√(2/12)/T: both ends lie somewhere within one update of the sensor; x is s, or P
          where the sensor counts energy and a whole step may be missing.

        n is the number of readings that can differ: T/update + 1 at most.
        """
        mean_w, duration_s = abs(self.mean_w), self.duration_s
        if duration_s < accuracy.update_s:
            return None
        steps = float(max(self.samples - 1, 1))
        if accuracy.update_s > 0:
            steps = min(steps, duration_s / accuracy.update_s)
        spread_w = math.sqrt(self._squares / (2.0 * steps))
        sampling_w = 0.0 if self.inside else spread_w / math.sqrt(steps + 1.0)
        at_ends_w = mean_w if self.inside else spread_w
        share = accuracy.update_s / duration_s if duration_s > 0 else 0.0
        parts = (
            (accuracy.relative or 0.0) * mean_w / math.sqrt(3.0),
            accuracy.offset_w / math.sqrt(3.0),
            accuracy.resolution_w / math.sqrt(12.0),
            sampling_w,
            at_ends_w * share * math.sqrt(2.0 / 12.0),
        )
        return COVERAGE * math.hypot(*parts)
