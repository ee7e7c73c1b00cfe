"""`edge-pose listen`: watch what a broker carries, and check it against the contract."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_pose.broker_url import FORM, BrokerUrl, parse_broker_url
from edge_pose.errors import PublisherError
from edge_pose.listen_tally import Tally
from edge_pose.publishers.output_file import prepare_output

if TYPE_CHECKING:  # these load paho and rich, which the other commands may not need
    from edge_pose.listen_view import View
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
    f"variable {PASSWORD_VARIABLE} or to --password-file.\n\nEnds with code 0, after Ctrl-C too; "
    "with 1 after an invalid message, or when what was asked for did not come.",
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
) -> int:
    """Listen until the rule is met, the time is over, or Ctrl-C."""
    from edge_pose.mqtt_link import OPEN_S
    from edge_pose.subscriber import Subscriber

    stop = StopRule(count, timeout_s, until_offline)
    tally = Tally()
    address = _address(url, ca_file, insecure, password_file)
    filters = topics or (address.topic_filter,)
    open_s = OPEN_S if timeout_s is None else min(timeout_s, OPEN_S)
    with (
        _summary_at_the_end(summary_json, tally),
        contextlib.suppress(KeyboardInterrupt),  # the usual way to end this command
        Subscriber(address.config, filters, open_s) as subscriber,
        contextlib.closing(_view(as_json)) as view,
    ):
        _listen(subscriber, view, tally, stop)
    click.echo(tally.line(), err=True)
    return 1 if tally.invalid else 0


def _address(
    url: str, ca_file: Path | None, insecure: bool, password_file: Path | None
) -> BrokerUrl:
    from pydantic import SecretStr

    password = os.environ.get(PASSWORD_VARIABLE)
    return parse_broker_url(
        url,
        ca_file=ca_file,
        tls_insecure=insecure,
        password=SecretStr(password) if password else None,
        password_file=password_file,
    )


@contextlib.contextmanager
def _summary_at_the_end(file: Path | None, tally: Tally) -> Iterator[None]:
    """Write the counts, however listening ends; a file that cannot be written is found at once."""
    if file is None:
        yield
        return
    prepare_output(file, overwrite=True)
    try:
        yield
    finally:
        try:
            file.write_text(json.dumps(tally.summary(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise PublisherError(f"{file}: cannot be written: {error.strerror}") from None


def _listen(subscriber: Subscriber, view: View, tally: Tally, stop: StopRule) -> None:
    end_s = float("inf") if stop.timeout_s is None else time.monotonic() + stop.timeout_s
    where = f"MQTT broker {subscriber.target}"
    said: set[str] = set()

    def say_once(line: str) -> None:
        if line not in said:
            said.add(line)
            click.echo(line, err=True)

    while (remaining_s := end_s - time.monotonic()) > 0:
        received = subscriber.receive(min(TICK_S, remaining_s))
        if subscriber.listening:
            # Whoever starts this command and then publishes waits for this line.
            say_once(f"listening to {subscriber.target}")
        elif subscriber.problem and not subscriber.ever_connected and stop.timeout_s is None:
            say_once(f"{where}: not reachable ({subscriber.problem}); trying again")
        if received is not None:
            tally.add(received, time.monotonic())
            view.show(received, tally)
            if stop.met(tally):
                return
        view.tick(tally)
    if not subscriber.ever_connected:
        reason = f" ({subscriber.problem})" if subscriber.problem else ""
        raise PublisherError(f"{where}: not reachable within {stop.timeout_s:g} s{reason}")
    if (missing := stop.missing(tally)) is not None:
        raise PublisherError(missing)


def _view(as_json: bool) -> View:
    from edge_pose.listen_view import JsonView, LinesView, TableView

    if as_json:
        return JsonView()
    return TableView() if sys.stdout.isatty() else LinesView()
