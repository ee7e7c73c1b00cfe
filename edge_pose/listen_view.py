"""Three ways to show received messages: JSON lines, a few lines per second, a live table."""

from __future__ import annotations

import json
import time
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from edge_pose.listen_tally import CameraTally, Tally
from edge_pose.subscriber import Received

LINE_INTERVAL_S = 0.5
TABLE_RATE_HZ = 4.0


class View(Protocol):
    """Shows what arrives."""

    def show(self, received: Received, tally: Tally) -> None:
        """Show one message that the tally has counted already."""
        ...

    def tick(self, tally: Tally) -> None:
        """Called a few times per second, whether messages come or not."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class _Plain:
    def tick(self, tally: Tally) -> None:
        """Nothing to do between messages."""

    def close(self) -> None:
        """Nothing to restore."""


class JsonView(_Plain):
    """One JSON object per message and line."""

    def show(self, received: Received, tally: Tally) -> None:  # noqa: ARG002 - the protocol's
        """Write {"topic", "valid", "message"}, or "error" in place of "message"."""
        shown: dict[str, object] = {"topic": received.topic, "valid": received.problem is None}
        if received.problem is None:
            shown["message"] = received.message
        else:
            shown["error"] = received.problem
        click.echo(json.dumps(shown, separators=(",", ":")))


class LinesView(_Plain):
    """At most two lines per second and camera; changes of state and invalid messages at once."""

    def __init__(self) -> None:
        self._shown_s: dict[str, float] = {}

    def show(self, received: Received, tally: Tally) -> None:
        """Write a line where one is due."""
        message = received.message
        if message is None:
            click.echo(f"{printable(received.topic)}: INVALID: {received.problem}")
        elif message["schema"] == "edge_pose.status/1":
            click.echo(f"{message['device']}: {message['state']}")
        elif message["schema"] == "edge_pose.state/1":
            reason = f" ({printable(message['reason'])})" if "reason" in message else ""
            click.echo(f"{message['device']}/{message['camera']}: {message['state']}{reason}")
        elif message["schema"] == "edge_pose.poses/1":
            self._show_camera(f"{message['device']}/{message['camera']}", tally)

    def _show_camera(self, name: str, tally: Tally) -> None:
        now_s = time.monotonic()
        if now_s - self._shown_s.get(name, float("-inf")) < LINE_INTERVAL_S:
            return
        self._shown_s[name] = now_s
        camera = tally.cameras[name]
        cells = zip(COLUMNS[1:], camera_cells(camera, now_s), strict=True)
        click.echo(f"{name}: " + ", ".join(f"{title} {cell}" for title, cell in cells))


class TableView:
    """A table that is redrawn in place, for terminals."""

    def __init__(self) -> None:
        self._live = Live(
            console=Console(), refresh_per_second=TABLE_RATE_HZ, auto_refresh=False, screen=False
        )
        self._drawn_s = float("-inf")
        self._live.start()

    def show(self, received: Received, tally: Tally) -> None:
        """Print invalid messages above the table and redraw it where that is due."""
        if received.problem is not None:
            line = f"{printable(received.topic)}: INVALID: {received.problem}"
            self._live.console.print(escape(line), highlight=False)
        self.tick(tally)

    def tick(self, tally: Tally) -> None:
        """Redraw at most four times per second."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= 1 / TABLE_RATE_HZ:
            self._drawn_s = now_s
            self._live.update(table(tally, now_s), refresh=True)

    def close(self) -> None:
        """Stop drawing and show the cursor again."""
        self._live.stop()


COLUMNS = ("camera", "frame", "persons", "best score", "latency", "rate", "state")


def camera_cells(camera: CameraTally, now_s: float) -> tuple[str, ...]:
    """Return the text of every column but the name."""
    return (
        "-" if camera.max_frame is None else str(camera.max_frame),
        str(camera.persons),
        "-" if camera.best_score is None else f"{camera.best_score:.2f}",
        f"{camera.latency_ms:.1f} ms",
        f"{camera.rate_hz(now_s):.1f}/s",
        camera.state or "-",
    )


def table(tally: Tally, now_s: float) -> Table:
    """Return the table of all cameras."""
    devices = ", ".join(f"{name} {state}" for name, state in sorted(tally.devices.items()))
    drawn = Table(caption=tally.line(), title=devices or "waiting for messages")
    for title in COLUMNS:
        drawn.add_column(title, justify="left" if title in ("camera", "state") else "right")
    for name, camera in sorted(tally.cameras.items()):
        drawn.add_row(name, *camera_cells(camera, now_s))
    return drawn


def printable(text: str) -> str:
    """Return foreign text without control characters, which could command the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
