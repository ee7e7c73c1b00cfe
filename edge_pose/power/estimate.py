"""Power guessed from processor utilisation: idle_w + (max_w - idle_w) · utilisation.

A straight line between two figures of the device profile, the linear model of Fan, Weber, Barroso,
"Power Provisioning for a Warehouse-sized Computer", ISCA 2007. It is worth no more than those two
figures, and always labelled "estimated".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import PowerMeter, PowerSource
from edge_pose.profile import DeviceProfile

# Columns of the first line of /proc/stat, proc(5); guest time is contained in user time.
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
NOT_BUSY = ("idle", "iowait", "steal")


class EstimateMeter(PowerMeter):
    """The estimate.

    Args:
        idle_w: W at rest.
        max_w: W with all cores busy.
        where: where these figures are from, for `detail`.
        root: root of the file system. Without <root>/proc/stat the processor time of this process
            alone is taken, over all cores.
        clock: monotonic seconds.
        sleep: waits until a window is long enough.
    """

    name = "estimate"
    source: PowerSource = "estimated"
    averages = True
    min_window_s = 0.1  # /proc/stat counts in steps of 10 ms: shorter windows say nothing

    def __init__(
        self,
        idle_w: float,
        max_w: float,
        where: str,
        root: Path = Path("/"),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._idle_w = idle_w
        self._max_w = max_w
        self._clock = clock
        self._sleep = sleep
        stat = root / "proc/stat"
        self._stat = stat if stat.is_file() else None
        what = "processor use" if self._stat else "the processor time of this process"
        self.detail = f"from {what}: {idle_w:g} W idle to {max_w:g} W busy ({where})"
        self._counters = self._read()
        self._since_s = clock()
        self._use = 0.0

    def read_w(self) -> float:
        """Return the estimated mean power in W since the previous call; waits for 0.1 s to pass.

        Raises:
            PowerError: /proc/stat vanished.
        """
        elapsed_s = self._clock() - self._since_s
        if elapsed_s < self.min_window_s:
            self._sleep(self.min_window_s - elapsed_s)
        return self.read_at_once_w()

    def read_at_once_w(self) -> float:
        """Return the same without waiting; the previous reading where no tick has passed since.

        Raises:
            PowerError: /proc/stat vanished.
        """
        busy, total = self._read()
        self._since_s = self._clock()
        old_busy, old_total = self._counters
        self._counters = busy, total
        if total > old_total:
            # The counters of /proc/stat can step back a little (iowait), hence the limits.
            self._use = min(max((busy - old_busy) / (total - old_total), 0.0), 1.0)
        return self._idle_w + (self._max_w - self._idle_w) * self._use

    def _read(self) -> tuple[float, float]:
        """Return (busy, total) processor time, in any unit."""
        if self._stat is None:
            times = os.times()
            return times.user + times.system, self._clock() * (os.cpu_count() or 1)
        try:
            line = self._stat.read_text(encoding="ascii").split("\n", 1)[0]
            label, *fields = line.split()
            ticks = dict(zip(COLUMNS, (int(field) for field in fields), strict=False))
        except (OSError, ValueError) as error:
            raise PowerError(f"estimate: {self._stat}: cannot be read: {error}") from None
        if label != "cpu" or len(ticks) < 4:  # the first four columns exist on every Linux
            raise PowerError(
                f"estimate: {self._stat}: found {line[:40]!r}, expected 'cpu' and ticks"
            )
        total = sum(ticks.values())
        return total - sum(ticks.get(name, 0) for name in NOT_BUSY), total


def open_estimate(profile: DeviceProfile, root: Path, options: str = "") -> EstimateMeter:  # noqa: ARG001 - common signature
    """Return the estimate with the watts of a profile."""
    power = profile.power
    return EstimateMeter(power.idle_w, power.max_w, f"profile {profile.name}", root)
