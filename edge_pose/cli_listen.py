"""`edge-pose listen`: watch what a broker carries, and check it against the contract."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import SecretStr

from edge_pose.broker_url import FORM, parse_broker_url
from edge_pose.errors import EdgePoseError, PublisherError
from edge_pose.listen_tally import Tally
from edge_pose.listen_view import JsonView, LinesView, TableView, View
from edge_pose.mqtt_link import OPEN_S
from edge_pose.subscriber import Subscriber

TICK_S = 0.25
PASSWORD_VARIABLE = "EDGE_POSE_MQTT__PASSWORD"  # noqa: S105 - its name, not its value


@dataclass(frozen=True, slots=True)
class StopRule:
    """When to stop listening; None and False mean never.

    Attributes:
        count: after so many valid pose messages.
        timeout_s: after so many seconds.
        until_offline: when the last device that was online goes offline.
    """

    count: int | None = None
    timeout_s: float | None = None
    until_offline: bool = False

    def met(self, tally: Tally) -> bool:
        """True when enough was received."""
        counted = self.count is not None and tally.poses >= self.count
        return counted or (self.until_offline and tally.gone_offline)

    def missing(self, tally: Tally) -> str | None:
        """After the timeout: what was asked for and did not come, or None."""
        if self.count is not None and tally.poses < self.count:
            return f"{tally.poses} of {self.count} pose messages arrived in {self.timeout_s:g} s"
        if self.until_offline and not tally.gone_offline:
            return f"no device went offline in {self.timeout_s:g} s"
        return None


@click.command(
    "listen",
    help=f"Show and check the messages of a broker.\n\nURL: {FORM}. A password may be left to the "
    f"variable {PASSWORD_VARIABLE} or to --password-file.",
)
@click.argument("url", default="mqtt://localhost")
@click.option("--topic", "topics", multiple=True, help="Topic filter instead of the URL's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per message and line.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many pose messages.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="Stop after seconds."
)
@click.option("--until-offline", is_flag=True, help="Stop when the device goes offline.")
@click.option(
    "--summary-json", type=click.Path(path_type=Path, dir_okay=False), help="Write the counts here."
)
@click.option("--ca-file", type=click.Path(path_type=Path), help="Trust this CA (mqtts).")
@click.option("--insecure", is_flag=True, help="Accept any certificate (mqtts).")
@click.option("--password-file", type=click.Path(path_type=Path), help="Its first line is used.")
def listen_command(
    url: str,
    topics: tuple[str, ...],
    as_json: bool,
    count: int | None,
    timeout_s: float | None,
    until_offline: bool,
    summary_json: Path | None,
    ca_file: Path | None,
    insecure: bool,
    password_file: Path | None,
) -> None:
    """End with code 0; 1 after an invalid message or when what was asked for did not come."""
    stop = StopRule(count, timeout_s, until_offline)
    tally = Tally()
    code = 0
    password = os.environ.get(PASSWORD_VARIABLE)
    _log_to_stderr()
    try:
        address = parse_broker_url(
            url,
            ca_file=ca_file,
            tls_insecure=insecure,
            password=SecretStr(password) if password else None,
            password_file=password_file,
        )
        open_s = OPEN_S if timeout_s is None else min(timeout_s, OPEN_S)
        filters = topics or (address.topic_filter,)
        with (
            Subscriber(address.config, filters, open_s) as subscriber,
            contextlib.closing(_view(as_json)) as view,
        ):
            _listen(subscriber, view, tally, stop)
    except KeyboardInterrupt:
        pass  # the usual way to end this command
    except EdgePoseError as error:
        click.echo(f"edge-pose listen: {error}", err=True)
        code = error.exit_code
    click.echo(tally.line(), err=True)
    if summary_json is not None:
        code = _write_summary(summary_json, tally) or code
    sys.exit(code or (1 if tally.invalid else 0))


def _listen(subscriber: Subscriber, view: View, tally: Tally, stop: StopRule) -> None:
    end_s = float("inf") if stop.timeout_s is None else time.monotonic() + stop.timeout_s
    told = False
    while (remaining_s := end_s - time.monotonic()) > 0:
        received = subscriber.receive(min(TICK_S, remaining_s))
        if subscriber.listening and not told:
            # Whoever starts this command and then publishes waits for this line.
            click.echo(f"listening to {subscriber.target}", err=True)
            told = True
        if received is not None:
            tally.add(received, time.monotonic())
            view.show(received, tally)
            if stop.met(tally):
                return
        view.tick(tally)
    if not subscriber.ever_connected:
        where = f"MQTT broker {subscriber.target}"
        raise PublisherError(f"{where}: not reachable within {stop.timeout_s:g} s")
    if (missing := stop.missing(tally)) is not None:
        raise PublisherError(missing)


def _view(as_json: bool) -> View:
    if as_json:
        return JsonView()
    return TableView() if sys.stdout.isatty() else LinesView()


def _log_to_stderr() -> None:
    """Show the subscriber's lines where the caller has set up no logging of its own."""
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")


def _write_summary(file: Path, tally: Tally) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(tally.summary(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        click.echo(f"{file}: cannot be written: {error.strerror}", err=True)
        return 1
    return 0
