"""A log file that another program is writing, as a meter: its newest line, while lines come."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

from edge_pose.errors import PowerError, UsageError
from edge_pose.power.base import Accuracy, PowerMeter, Scope
from edge_pose.power.external_log import parse_line
from edge_pose.power.feed import Feed
from edge_pose.power.options import split_options
from edge_pose.profile import DeviceProfile

STALE_S = 10.0  # loggers write about once a second
POLL_S = 0.05


class LogMeter(PowerMeter):
    """Follows the end of a file.

    Of the times in it only the distances are used, so clocks need not agree.

    Args:
        file: see external_log for the forms of its lines.
        stale_s: a reading older than this is no reading any more; also the wait for the first one.
        clock: monotonic seconds.
        sleep: waits for the first line.

    Raises:
        PowerError: it cannot be read, or does not grow.
    """

    name = "file"
    scope: Scope = "wall"

    def __init__(
        self,
        file: Path,
        stale_s: float = STALE_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path = file
        self._feed = Feed(f"file: {file}", stale_s, clock)
        self._stale_s = stale_s
        self._written_s: float | None = None
        self._spacing_s = 0.0
        self._half = b""
        self.detail = f"log {file.name} as it grows"
        self._file = self._open()
        try:
            self._file.seek(0, 2)
            end_s = clock() + stale_s
            while not self._advance() and clock() < end_s:
                sleep(POLL_S)
            self._feed.wait(0.0)
        except (OSError, PowerError) as error:
            self.close()
            if isinstance(error, OSError):
                raise PowerError(f"file: {file}: cannot be read: {error.strerror}") from None
            raise PowerError(f"{error}: is the logger running?") from None

    @property
    def accuracy(self) -> Accuracy:  # type: ignore[override]  # it grows with what was seen
        """The longest distance of two lines so far; before there is one, what it may be at most."""
        return Accuracy(update_s=min(self._spacing_s or self._stale_s, self._stale_s))

    def read_w(self) -> float:
        """Return the newest reading in W.

        Raises:
            PowerError: the file grows no more, was cut, or its last line has another form.
        """
        try:
            self._advance()
        except OSError as error:
            raise PowerError(f"file: {self._path}: cannot be read: {error.strerror}") from None
        return self._feed.latest_w()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> BufferedReader:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise PowerError(f"file: {self._path}: cannot be read: {error.strerror}") from None

    def _advance(self) -> bool:
        """Read what was added; True where a reading was in it. The last line may still be half."""
        if self._path.stat().st_size < self._file.tell():
            raise PowerError(f"file: {self._path}: became shorter: the logger began anew")
        *lines, self._half = (self._half + self._file.read()).split(b"\n")
        readings = [reading for line in lines if (reading := self._parse(line)) is not None]
        for written_s, _ in readings:
            if self._written_s is not None:  # 0 or less: the logger's clock was set back
                self._spacing_s = max(self._spacing_s, written_s - self._written_s)
            self._written_s = written_s
        if readings:
            self._feed.put(readings[-1][1])
        return bool(readings)

    def _parse(self, line: bytes) -> tuple[float, float] | None:
        try:
            return parse_line(line.decode("utf-8", "replace"))
        except ValueError as error:
            raise PowerError(f"file: {self._path}: {error}") from None


def open_log(profile: DeviceProfile, root: Path, options: str = "") -> LogMeter:  # noqa: ARG001 - common signature
    """Return the meter; options are FILE[,stale_s=10].

    Raises:
        PowerError: see LogMeter.
        UsageError: the options have another form.
    """
    file, stale_s = parse_options(options)
    return LogMeter(file, STALE_S if stale_s is None else stale_s)


def parse_options(options: str) -> tuple[Path, float | None]:
    """Return (file, stale_s where it is said) of FILE[,stale_s=10].

    Raises:
        UsageError: the options have another form.
    """
    given = split_options("file", options, ("stale_s",))
    if given.first.endswith("/"):
        raise UsageError(f"file:{options}: expected a file, not a folder")
    stale_s = given.seconds("stale_s", STALE_S) if "stale_s" in given.settings else None
    return Path(given.first), stale_s
