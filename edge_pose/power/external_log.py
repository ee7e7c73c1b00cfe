"""A log file of an external power meter, as MLPerf's power measurements have it.

Lines are `Time,11-20-2026 08:00:00.250,Watts,22.95,Volts,228.45,…` (SPEC PTDaemon; month first,
local time of the machine that wrote it) or `seconds,watts`, where the first is seconds since 1970
or RFC 3339. Empty lines, lines that begin with #, and one line of headings are passed over.
"""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import Accuracy
from edge_pose.power.integral import Integral
from edge_pose.power.power_summary import PowerSummary

PTDAEMON_TIME = "%m-%d-%Y %H:%M:%S.%f"


@dataclass(frozen=True, slots=True)
class PowerLog:
    """Readings with their times.

    Attributes:
        name: of the file.
        times_s: seconds since 1970, ascending.
        watts: as many.
    """

    name: str
    times_s: tuple[float, ...]
    watts: tuple[float, ...]

    def between(self, start_s: float, end_s: float) -> PowerSummary:
        """Integrate between two instants; the power at both is interpolated.

        Raises:
            PowerError: the log does not reach from one to the other, or there is no time between.
        """
        if not start_s < end_s:
            raise PowerError(
                f"file: {self.name}: {_clock_time(end_s)} is not after {_clock_time(start_s)}"
            )
        if not (self.times_s[0] <= start_s and end_s <= self.times_s[-1]):
            raise PowerError(
                f"file: {self.name}: {_clock_time(start_s)} to {_clock_time(end_s)} is asked for,"
                f" the log has {_clock_time(self.times_s[0])} to {_clock_time(self.times_s[-1])}"
            )
        integral = Integral()
        integral.add(start_s, self._at(start_s))
        first = bisect.bisect_right(self.times_s, start_s)
        for index in range(first, bisect.bisect_left(self.times_s, end_s)):
            integral.add(self.times_s[index], self.watts[index])
        integral.add(end_s, self._at(end_s))
        return PowerSummary.of(
            integral,
            meter="file",
            detail=f"log {self.name}",
            scope="wall",
            accuracy=Accuracy(update_s=self._spacing_s()),
        )

    def _spacing_s(self) -> float:
        """Return the usual time between two readings; rounded, for clocks count in steps."""
        gaps_s = (after - before for before, after in itertools.pairwise(self.times_s))
        return round(statistics.median(gaps_s), 3)

    def _at(self, time_s: float) -> float:
        index = max(bisect.bisect_left(self.times_s, time_s), 1)
        before_s, after_s = self.times_s[index - 1 : index + 1]
        before_w, after_w = self.watts[index - 1 : index + 1]
        return before_w + (after_w - before_w) * (time_s - before_s) / (after_s - before_s)


def read_log(file: Path, *, utc: bool = False) -> PowerLog:
    """Read a whole log.

    Args:
        file: the log.
        utc: PTDaemon's times are UTC instead of this machine's local time.

    Raises:
        PowerError: it is unreadable, has a line of another form, time stands still or steps back,
            or there are fewer than two readings.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise PowerError(f"file: {file}: cannot be read: {error.strerror}") from None
    readings = list(_readings(file, lines, utc=utc))
    if len(readings) < 2:
        raise PowerError(f"file: {file}: found {len(readings)} readings, expected two or more")
    return PowerLog(file.name, tuple(t for t, _ in readings), tuple(w for _, w in readings))


def _readings(file: Path, lines: list[str], *, utc: bool) -> Iterator[tuple[float, float]]:
    before_s = float("-inf")
    for number, line in enumerate(lines, 1):
        try:
            reading = parse_line(line, utc=utc)
        except ValueError as error:
            if before_s == float("-inf") and number == 1:
                continue  # headings
            raise PowerError(f"file: {file}:{number}: {error}") from None
        if reading is None:
            continue
        if reading[0] <= before_s:
            raise PowerError(
                f"file: {file}:{number}: {_clock_time(reading[0])} is not after the line before:"
                " the logger's clock was set back"
            )
        before_s = reading[0]
        yield reading


def parse_line(line: str, *, utc: bool = False) -> tuple[float, float] | None:
    """Return (seconds since 1970, W); None for an empty line or a comment.

    Raises:
        ValueError: the line has another form; what was found and expected.
    """
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    fields = [field.strip() for field in line.split(",")]
    try:
        if fields[0] == "Time":
            named = dict(zip(fields[::2], fields[1::2], strict=False))
            time = datetime.strptime(named["Time"], PTDAEMON_TIME)
            time_s = (time.replace(tzinfo=timezone.utc) if utc else time).timestamp()
            watts = float(named["Watts"])
        else:
            time_s, watts = _seconds(fields[0]), float(fields[1])
    except (KeyError, IndexError, ValueError):
        form = "'Time,MM-DD-YYYY hh:mm:ss.fff,Watts,…' or 'seconds,watts'"
        raise ValueError(f"found {line[:60]!r}, expected {form}") from None
    if not (0 <= watts < float("inf") and abs(time_s) < float("inf")):
        raise ValueError(f"found {line[:60]!r}, expected watts, 0 or more")
    return time_s, watts


def parse_instant(text: str) -> float:
    """Return seconds since 1970 of such a number or of RFC 3339; local time without a zone.

    Raises:
        ValueError: neither of them.
    """
    return _seconds(text)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _clock_time(time_s: float) -> str:
    try:
        time = datetime.fromtimestamp(time_s, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{time_s:g} s"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
