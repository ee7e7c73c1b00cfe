"""Energy of a run: a meter, sampled in the background and integrated over time."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from edge_pose.errors import PowerError
from edge_pose.power.base import PowerMeter
from edge_pose.power.integral import Integral
from edge_pose.power.power_summary import PowerSummary
from edge_pose.power.throttling import MachineState, throttled_between

__all__ = ["EnergyRecorder", "PowerSummary", "measure_idle"]

logger = logging.getLogger(__name__)

GOLDEN = (5**0.5 - 1) / 2
CLOCK_STEP_S = 1.0  # wall and monotonic clock drift apart by less within days


class EnergyRecorder:
    """Samples a meter from entering to leaving the `with` block, both ends included.

    Instantaneous readings are joined by straight lines (trapezoids). A meter whose `averages` is
    True gives the mean since its previous reading, and that is multiplied by the time; one that
    counts energy is believed to the joule. Leaving takes the last reading without waiting, so that
    nothing of what follows is counted.

    Args:
        meter: read by one thread at a time, and left open.
        interval_s: time between samples, seconds; the mean of it where a reading is of the moment,
            see `uneven`.
        clock: monotonic seconds.
        wall: seconds since 1970, for what is compared with other machines' logs.
        read_state: clocks and throttling, read at both ends.
        idle: the baseline, from `measure_idle`.
        keep_trace: remember every sample, for plots.

    Attributes:
        trace: (seconds since the start, W) of each sample where `keep_trace`; not of a last mean
            over less than the meter's shortest window.
    """

    def __init__(
        self,
        meter: PowerMeter,
        interval_s: float = 0.5,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        read_state: Callable[[], MachineState] | None = None,
        idle: PowerSummary | None = None,
        keep_trace: bool = False,
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s: {interval_s}, must be above 0")
        self._meter = meter
        # The thread never waits within a reading: that would last beyond the end of the run.
        self._interval_s = max(interval_s, meter.min_window_s)
        self._clock = clock
        self._wall = wall
        self._read_state = read_state
        self._idle_w = None if idle is None else idle.mean_w
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)
        self._total = Integral()
        self._rails: dict[str, Integral] = {}
        self._counted_j = 0.0
        self._end_s = 0.0
        self._started_at = 0.0
        self._clock_step_s = 0.0
        self._throttled: dict[str, None] = {}
        self._before: MachineState | None = None
        self._after: MachineState | None = None
        self._lost: str | None = None
        self._keep_trace = keep_trace
        self.trace: list[tuple[float, float]] = []

    def __enter__(self) -> EnergyRecorder:
        """Take the first sample.

        Raises:
            PowerError: the meter cannot be read.
        """
        if self._read_state is not None:
            self._before = self._read_state()
        self._take()
        self._started_at = self._wall()
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
        self._sample(at_end=True)
        if self._read_state is not None:
            self._after = self._read_state()

    def sample(self) -> None:
        """Read the meter now; the background thread does so every `interval_s`."""
        self._sample()

    def _sample(self, *, at_end: bool = False) -> None:
        """Take a reading; whatever goes wrong with it loses the meter, not the run."""
        with self._lock:
            self._end_s = max(self._end_s, self._clock())
            if self._lost is not None:
                return
            try:
                self._take(at_end=at_end)
            except Exception as error:  # noqa: BLE001 - of a library below; the thread would end
                known = isinstance(error, PowerError)
                self._lost = str(error) if known else f"{type(error).__name__}: {error}"
                logger.warning("power meter lost, no energy is counted from now on: %s", self._lost)
                return
            self._watch_wall_clock()

    def summary(self) -> PowerSummary:
        """Return the figures so far; the final ones after the `with` block.

        Raises:
            PowerError: there is no sample yet.
        """
        with self._lock:
            meter, total = self._meter, self._total
            if total.samples == 0:
                raise PowerError(f"{meter.name}: nothing recorded yet")
            detail, lost = meter.detail, None
            if self._lost is not None:
                whole_s = self._end_s - total.start_s
                lost = f"after {total.duration_s:.1f} s of {whole_s:.1f} s: {self._lost}"
                detail += f"; LOST {lost}"
            return PowerSummary.of(
                total,
                meter=meter.name,
                detail=detail,
                scope=meter.scope,
                source=meter.source,
                accuracy=meter.accuracy,
                rails_w={name: rail.mean_w for name, rail in self._rails.items()},
                idle_w=self._idle_w,
                started_at=self._started_at,
                clock_step_s=self._clock_step_s,
                before=self._before,
                after=self._after,
                throttled=self._reasons(),
                lost=lost,
            )

    def _take(self, *, at_end: bool = False) -> None:
        """Read the meter and integrate.

        Raises:
            PowerError: the meter is gone, or the clock stepped back.
        """
        meter, total = self._meter, self._total
        before_s = self._clock()
        power_w = meter.read_at_once_w() if at_end else meter.read_w()
        after_s = self._clock()
        # A mean ends with the reading; the power of a moment is somewhere within it.
        now_s = after_s if meter.averages else (before_s + after_s) / 2.0
        if total.samples and now_s < total.last_s:
            raise PowerError(f"{meter.name}: the clock stepped back by {total.last_s - now_s:g} s")
        step_j = None
        if meter.counted_j is not None:
            step_j, self._counted_j = meter.counted_j - self._counted_j, meter.counted_j
        brief = at_end and meter.averages and now_s - total.last_s < meter.min_window_s
        total.add(now_s, power_w, mean=meter.averages, step_j=step_j, brief=brief)
        self._end_s = max(self._end_s, now_s)
        for name, rail_w in meter.rails_w.items():
            self._rails.setdefault(name, Integral()).add(now_s, rail_w, mean=meter.averages)
        self._throttled.update(dict.fromkeys(meter.throttled))
        if self._keep_trace and not brief:
            self.trace.append((now_s - total.start_s, power_w))

    def _watch_wall_clock(self) -> None:
        """Say once where the wall clock was set; durations come from the monotonic one."""
        passed_s = self._total.last_s - self._total.start_s
        step_s = self._wall() - self._started_at - passed_s
        if abs(step_s - self._clock_step_s) > CLOCK_STEP_S:
            if self._clock_step_s == 0.0:
                logger.warning(
                    "the wall clock was set %s by %.1f s during the measurement: durations and"
                    " energy are right, times of day before and after do not fit together",
                    "back" if step_s < 0 else "forward",
                    abs(step_s),
                )
            self._clock_step_s = step_s

    def _reasons(self) -> tuple[str, ...] | None:
        known: tuple[str, ...] | None = tuple(self._throttled) or None
        if self._before is not None:
            machine = throttled_between(self._before, self._after or self._before)
            if machine is not None:
                known = (*machine, *(known or ()))
        return known

    def _run(self) -> None:
        same = itertools.repeat(self._interval_s)
        for pause_s in same if self._meter.averages else uneven(self._interval_s):
            if self._stop.wait(pause_s) or self._lost is not None:
                return
            self.sample()


def uneven(interval_s: float) -> Iterator[float]:
    """Yield pauses between half and one and a half of an interval, which they have as their mean.

    Frames come at a fixed rate, too: at 30 FPS a reading every 0.5 s would see the same part of
    every fifteenth frame. The fractional parts of multiples of the golden ratio fill the range
    evenly, and so do the phases of a periodic load that come of it (Weyl's theorem).
    """
    for k in itertools.count(1):
        yield interval_s * (0.5 + k * GOLDEN % 1.0)


def measure_idle(
    meter: PowerMeter,
    seconds: float,
    interval_s: float = 0.5,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> PowerSummary:
    """Return what the machine draws while this process does nothing.

    Raises:
        PowerError: the meter cannot be read, or was lost meanwhile.
    """
    with EnergyRecorder(meter, interval_s, clock=clock) as recorder:
        sleep(seconds)
    summary = recorder.summary()
    if summary.lost is not None:
        raise PowerError(f"idle baseline: lost {summary.lost}")
    return summary
