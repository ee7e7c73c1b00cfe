"""One log line when a broker goes away and one when it is back, whatever happens in between."""

from __future__ import annotations

import logging
import time

from edge_pose.mqtt_link import LinkError
from edge_pose.publishers.outbox import Outbox


class OutageLog:
    """Remembers what was said already.

    Args:
        logger: where the lines go.
        who: start of every line, for example "MQTT broker host:1883".
        outbox: its count of drops is reported.

    Attributes:
        up: True between `came_up` and `went_down`.
    """

    def __init__(self, logger: logging.Logger, who: str, outbox: Outbox) -> None:
        self._logger = logger
        self._who = who
        self._outbox = outbox
        self._down_since_s: float | None = None
        self._said = ""  # the last permanent problem
        self._dropped_before = 0
        self._ever_up = False
        self._drops_said = False
        self.up = False

    def came_up(self) -> None:
        """Say that the connection stands."""
        dropped = self._outbox.dropped - self._dropped_before
        if self._down_since_s is None:
            self._logger.info("%s: connected", self._who)
        else:
            again = "connected again" if self._ever_up else "connected"
            away_s = time.monotonic() - self._down_since_s
            line = "%s: %s after %.1f s, %d pose messages dropped meanwhile"
            self._logger.warning(line, self._who, again, away_s, dropped)
        self._down_since_s = None
        self._said = ""
        self._dropped_before = self._outbox.dropped
        self._drops_said = False
        self._ever_up = self.up = True

    def went_down(self, error: LinkError) -> None:
        """Say once per outage that there is no connection, and each permanent problem once."""
        self.up = False
        first = self._down_since_s is None
        if first:
            self._down_since_s = time.monotonic()
            self._dropped_before = self._outbox.dropped
        if error.permanent and str(error) != self._said:
            self._said = str(error)
            line = "%s: %s; check the mqtt settings; poses go on, trying again slowly"
            self._logger.error(line, self._who, error)
        elif first:
            what = "connection lost" if self._ever_up else "not reachable"
            line = "%s: %s (%s); poses go on, the oldest messages are dropped, trying again"
            self._logger.warning(line, self._who, what, error)

    def check_drops(self) -> None:
        """Say once per connection that messages are dropped although the broker is there."""
        if not self._drops_said and self._outbox.dropped > self._dropped_before:
            self._drops_said = True
            line = "%s: takes messages slower than they come; the oldest are dropped"
            self._logger.warning(line, self._who)
