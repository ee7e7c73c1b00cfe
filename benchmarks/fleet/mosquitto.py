"""A mosquitto of our own: found, started on a free port of this machine, ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from edge_pose.broker import HOST, free_port
from edge_pose.errors import UsageError

SBIN = ("/usr/sbin", "/usr/local/sbin")  # where packages put it; not on every user's path
START_S = 20.0
STOP_S = 10.0
# Three settings matter to loss and delay, and mosquitto's defaults are made for less traffic. With
# Nagle's algorithm a subscriber's messages wait for its delayed acknowledgement, up to 40 ms. At
# QoS 1 only 20 are on the way to a subscriber at a time, and one who stands still for 1000 messages
# loses what comes then.
SETTINGS = (
    "allow_anonymous true",
    "persistence false",
    "set_tcp_nodelay true",
    "max_inflight_messages 1000",
    "max_queued_messages 100000",
)


def find_mosquitto() -> str | None:
    """Return the path of the program; None where it is not installed."""
    places = os.pathsep.join((os.environ.get("PATH", ""), *SBIN))
    return shutil.which("mosquitto", path=places)


class Mosquitto:
    """One process; a context manager. It can be stopped and started again on the same port.

    Args:
        folder: for its configuration and log.
        settings: lines of its configuration after the listener.

    Raises:
        UsageError: it is not installed, or it does not start.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = SETTINGS) -> None:
        self._program = find_mosquitto() or ""
        if not self._program:
            raise UsageError(
                "fleet: mosquitto is not installed: install it (`apt install mosquitto`), or name"
                " a broker with --broker mqtt://host"
            )
        self.port = free_port()
        self.settings = tuple(settings)
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join((f"listener {self.port} {HOST}", *settings, "")))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address as mqtt://host:port."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the process; None where it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            UsageError: it ends, or does not listen in time.
        """
        with self._log.open("ab") as log:
            command = [self._program, "-c", str(self._config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - no shell
        deadline_s = time.monotonic() + START_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                said = (self._log.read_text("utf-8", "replace").splitlines() or ["nothing"])[-1]
                raise UsageError(f"mosquitto: did not start, it said: {said}")
            time.sleep(0.02)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """End it as its service manager would: what is to be kept is written to the disk."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def version(self) -> str:
        """Return what it calls itself, for example "mosquitto 2.0.11"."""
        command = [self._program, "-h"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        found = re.search(r"mosquitto version (\S+)", done.stdout + done.stderr)
        return f"mosquitto {found[1]}" if found else "mosquitto"

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
