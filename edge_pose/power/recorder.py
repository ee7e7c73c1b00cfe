"""Energy of a run: a meter, sampled in the background and integrated over time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from edge_pose.errors import PowerError
from edge_pose.power.base import PowerMeter, PowerSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PowerSummary:
    """What a run used.

    Attributes:
        mean_w: mean power over `duration_s`, W.
        energy_j: energy over `duration_s`, J.
        duration_s: time from the first to the last sample, seconds.
        samples: readings of the meter.
        meter: its name.
        source: "measured" or "estimated".
        detail: what is read; says so where the meter was lost before the end of the run.
    """

    mean_w: float
    energy_j: float
    duration_s: float
    samples: int
    meter: str
    source: PowerSource
    detail: str


class EnergyRecorder:
    """Samples a meter from entering to leaving the `with` block, both ends included.

    Instantaneous readings are joined by straight lines (trapezoids). A meter whose `averages` is
    True gives the mean since its previous reading, and that is multiplied by the time.

    Args:
        meter: read by one thread at a time, and left open.
        interval_s: time between samples, seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        meter: PowerMeter,
        interval_s: float = 0.5,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s: {interval_s}, must be above 0")
        self._meter = meter
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)
        self._start_s = self._last_s = self._end_s = 0.0
        self._last_w = 0.0
        self._energy_j = 0.0
        self._samples = 0
        self._lost: str | None = None

    def __enter__(self) -> EnergyRecorder:
        """Take the first sample.

        Raises:
            PowerError: the meter cannot be read.
        """
        self._last_w = self._meter.read_w()
        self._start_s = self._last_s = self._end_s = self._clock()
        self._samples = 1
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.sample()

    def sample(self) -> None:
        """Read the meter now; the background thread does so every `interval_s`."""
        with self._lock:
            now_s = self._end_s = self._clock()
            if self._lost is not None:
                return
            try:
                power_w = self._meter.read_w()
            except PowerError as error:
                self._lost = str(error)
                logger.warning("power meter lost, no energy is counted from now on: %s", error)
                return
            level_w = power_w if self._meter.averages else (self._last_w + power_w) / 2.0
            self._energy_j += level_w * (now_s - self._last_s)
            self._last_s, self._last_w = now_s, power_w
            self._samples += 1

    def summary(self) -> PowerSummary:
        """Return the figures so far; the final ones after the `with` block.

        Raises:
            PowerError: there is no sample yet.
        """
        with self._lock:
            if self._samples == 0:
                raise PowerError(f"{self._meter.name}: nothing recorded yet")
            duration_s = self._last_s - self._start_s
            detail = self._meter.detail
            if self._lost is not None:
                whole_s = self._end_s - self._start_s
                detail += f"; LOST after {duration_s:.1f} s of {whole_s:.1f} s: {self._lost}"
            return PowerSummary(
                mean_w=self._energy_j / duration_s if duration_s > 0 else self._last_w,
                energy_j=self._energy_j,
                duration_s=duration_s,
                samples=self._samples,
                meter=self._meter.name,
                source=self._meter.source,
                detail=detail,
            )

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s) and self._lost is None:
            self.sample()
