"""How long the stages of the pipeline take."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 4096


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """One stage.

    Attributes:
        count: calls since the start.
        mean_s: mean over all calls, seconds.
        p50_s: median of the last calls (at most WINDOW), seconds.
        p95_s: 95th percentile of the last calls, seconds.
        p99_s: 99th percentile of the last calls, seconds.
        max_s: slowest call since the start, seconds.
    """

    count: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float

    def to_ms(self) -> dict[str, float]:
        """Return mean, p50, p95 and p99 in milliseconds."""
        seconds = {"mean": self.mean_s, "p50": self.p50_s, "p95": self.p95_s, "p99": self.p99_s}
        return {name: value * 1e3 for name, value in seconds.items()}


class _Stage:
    """A ring of the last durations, and running figures of all of them."""

    def __init__(self, window: int) -> None:
        self.ring = np.zeros(window)
        self.count = 0
        self.mean_s = 0.0
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        self.ring[self.count % len(self.ring)] = seconds
        self.count += 1
        self.mean_s += (seconds - self.mean_s) / self.count  # a sum would lose digits in months
        self.max_s = max(self.max_s, seconds)

    def recent_s(self) -> NDArray[np.float64]:
        return self.ring[: min(self.count, len(self.ring))]

    def summary(self) -> LatencySummary:
        p50, p95, p99 = (float(v) for v in np.percentile(self.recent_s(), (50, 95, 99)))
        return LatencySummary(self.count, self.mean_s, p50, p95, p99, self.max_s)


class LatencyRecorder:
    """Collects durations by stage in bounded memory; threads may share it.

    Args:
        window: number of durations per stage from which the percentiles are taken.
    """

    def __init__(self, window: int = WINDOW) -> None:
        if window < 1:
            raise ValueError(f"window: {window}, at least 1 is needed")
        self._window = window
        self._stages: dict[str, _Stage] = {}
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        """Record one duration of a stage."""
        with self._lock:
            if stage not in self._stages:
                self._stages[stage] = _Stage(self._window)
            self._stages[stage].add(seconds)

    def summary(self) -> dict[str, LatencySummary]:
        """Return the figures of every stage, in order of first use; empty before the first one."""
        with self._lock:
            return {name: stage.summary() for name, stage in self._stages.items()}

    def recent_s(self) -> dict[str, NDArray[np.float64]]:
        """Return every stage's last durations in seconds; those of a full window unordered."""
        with self._lock:
            return {name: stage.recent_s().copy() for name, stage in self._stages.items()}
