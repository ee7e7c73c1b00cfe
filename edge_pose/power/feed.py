"""Readings that arrive by themselves, from a plug or a growing file: the newest, while new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge_pose.errors import PowerError

STALE_S = 90.0  # most plugs speak at least once a minute, whether anything changed or not


class Feed:
    """Holds the newest reading; written by one thread, read by another.

    Args:
        where: of the meter, for messages.
        stale_s: a reading older than this is no reading any more.
        clock: monotonic seconds.
    """

    def __init__(
        self, where: str, stale_s: float = STALE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._where = where
        self._stale_s = stale_s
        self._clock = clock
        self._changed = threading.Condition()
        self._at_s: float | None = None
        self._watts = 0.0
        self._problem = ""
        self._failed = False
        self._longest_gap_s: float | None = None

    def put(self, watts: float) -> None:
        """Take a reading that has just arrived."""
        with self._changed:
            now_s = self._clock()
            if self._at_s is not None:
                self._longest_gap_s = max(self._longest_gap_s or 0.0, now_s - self._at_s)
            self._at_s, self._watts, self._problem = now_s, watts, ""
            self._changed.notify_all()

    @property
    def update_s(self) -> float:
        """Longest time between two readings so far; after one alone, what it may be at most."""
        with self._changed:
            return self._stale_s if self._longest_gap_s is None else self._longest_gap_s

    def note(self, problem: str) -> None:
        """Remember why there may be no reading: shown with the next error."""
        with self._changed:
            self._problem = problem

    def fail(self, problem: str) -> None:
        """Give up: no reading will come."""
        with self._changed:
            self._problem, self._failed = problem, True
            self._changed.notify_all()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when there is a first reading.

        Args:
            timeout_s: how long to wait still; as long as a reading is good by default.

        Raises:
            PowerError: there is none in time, or there will be none.
        """
        limit_s = self._stale_s if timeout_s is None else timeout_s
        with self._changed:
            self._changed.wait_for(lambda: self._at_s is not None or self._failed, limit_s)
            if self._at_s is None:
                raise PowerError(self._text(f"no reading within {self._stale_s:g} s"))

    def latest_w(self) -> float:
        """Return the newest reading in W.

        Raises:
            PowerError: it is too old, or no other will come.
        """
        with self._changed:
            if self._failed or self._at_s is None:
                raise PowerError(self._text("no reading"))
            age_s = self._clock() - self._at_s
            if age_s > self._stale_s:
                raise PowerError(self._text(f"the last reading is {age_s:.0f} s old"))
            return self._watts

    def _text(self, what: str) -> str:
        return f"{self._where}: {what}" + (f" ({self._problem})" if self._problem else "")
