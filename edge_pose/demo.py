"""The main job, shown end to end: clip → poses → embedded broker → a second process prints them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from edge_pose.broker import embedded_broker
from edge_pose.command_line import stop_on_signals
from edge_pose.config import load_config
from edge_pose.errors import EdgePoseError, PublisherError
from edge_pose.samples import WALKING
from edge_pose.session import run
from edge_pose.summary import summary_table

FINISH_S = 20.0


def demo(out: Path, source: str | None = None, *, as_json: bool = False) -> int:
    """Run the demonstration and print its summary; 0 when every message arrived.

    Args:
        out: folder for demo.mp4, poses.jsonl, summary.json and received.json.
        source: clip to use; the shipped one by default.
        as_json: print the summary as JSON instead of a table.

    Raises:
        EdgePoseError: something could not be opened, or the subscriber did not start.
    """
    from rich.console import Console

    received_file = out / "received.json"
    received_file.unlink(missing_ok=True)
    with (
        embedded_broker() as broker,
        _subscriber(broker.url, received_file, quiet=as_json) as subscriber,
    ):
        config = load_config(
            env={},  # the demonstration is the same everywhere
            flags={
                "source": source or str(WALKING),
                "jsonl": str(out / "poses.jsonl"),
                "video": str(out / "demo.mp4"),
                # QoS 1: what is counted at both ends must not depend on luck.
                "mqtt": {"host": broker.host, "port": broker.port, "qos": 1},
            },
        )
        stop = threading.Event()
        with stop_on_signals(stop):
            summary = run(config, stop=stop)
        _wait(subscriber)
    received = json.loads(received_file.read_text("utf-8"))
    sent = next(report.sent for report in summary.publishers if report.name == "mqtt")
    same = received["poses"] == sent == summary.frames and received["invalid"] == 0
    values = {**summary.to_json(), "received": received["poses"], "received_equals_sent": same}
    (out / "summary.json").write_text(json.dumps(values, indent=2, default=str) + "\n", "utf-8")
    if as_json:
        click.echo(json.dumps(values, default=str))
    else:
        table = summary_table(summary)
        table.add_row(
            "received", f"{received['poses']} of {sent} sent, {received['invalid']} invalid"
        )
        table.add_row("files", ", ".join(str(out / name) for name in ("demo.mp4", "poses.jsonl")))
        Console().print(table)
    if summary.error is not None:
        raise EdgePoseError(summary.error)
    return 0 if same else 1


@contextmanager
def _subscriber(url: str, summary: Path, *, quiet: bool) -> Iterator[subprocess.Popen[str]]:
    """Start `edge-pose listen` in a process of its own and wait until it is subscribed."""
    command = [sys.executable, "-m", "edge_pose", "listen", url, "--until-offline"]
    command += ["--summary-json", str(summary)]
    stdout = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell
        command, stdout=stdout, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_until_listening(process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _wait_until_listening(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None  # noqa: S101 - opened as a pipe above
    said = ""
    for line in process.stderr:
        said = line.strip() or said
        if line.startswith("listening"):
            return
    raise PublisherError(f"the subscriber did not start: {said or 'it said nothing'}")


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(FINISH_S)
    except subprocess.TimeoutExpired:
        raise PublisherError(f"the subscriber did not finish within {FINISH_S:g} s") from None
