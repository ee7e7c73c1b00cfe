"""`edge-pose-bench fleet`."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import ValidationError

from benchmarks.commands.options import json_option, measured_environment, say, show
from edge_pose.config import first_error
from edge_pose.errors import UsageError

COUNT = click.IntRange(1, 100_000)


@click.command("fleet", short_help="Virtual devices on one MQTT broker: loss and delay.")
@click.option("--broker", help="mqtt://[user[:password]@]host[:port]; a mosquitto by default.")
@click.option(
    "--devices",
    type=COUNT,
    multiple=True,
    default=(1, 10, 50, 100, 200),
    show_default=True,
    help="May be given several times.",
)
@click.option(
    "--rate",
    "rate_hz",
    type=click.FloatRange(0, 1000, min_open=True),
    default=15.0,
    show_default=True,
    help="Messages per second of each device.",
)
@click.option(
    "--qos",
    type=click.IntRange(0, 1),
    multiple=True,
    default=(0, 1),
    show_default=True,
    help="May be given several times.",
)
@click.option(
    "--people",
    type=click.IntRange(0, 100),
    multiple=True,
    default=(1,),
    show_default=True,
    help="In every message; may be given several times.",
)
@click.option(
    "--poses",
    type=click.Path(path_type=Path),
    help="Messages of `edge-pose run --jsonl FILE`; of the shipped clip by default.",
)
@click.option(
    "--seconds",
    "measured_s",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    help="That are measured.",
)
@click.option(
    "--warm-up",
    "warm_up_s",
    type=click.FloatRange(0, 600),
    default=3.0,
    show_default=True,
    help="Seconds before that.",
)
@click.option("--rounds", type=click.IntRange(1, 1000), default=3, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that send.")
@click.option(
    "--receivers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that count; devices are dealt out to them.",
)
@json_option
def command(broker: str | None, poses: Path | None, as_json: bool, **flags: object) -> None:
    """Virtual devices that publish poses to one MQTT broker: loss and delay against their number.

    Every device has a connection of its own and publishes real poses. Frame numbers tell what was
    lost; the delay is from sending to arrival, on the clock that all processes of this machine
    share. Before that the fleet sends flat out: results near what it can do are marked.
    """
    environment = measured_environment()
    from benchmarks.fleet.pose_messages import read_messages, record_messages
    from benchmarks.fleet.report import FleetSettings
    from benchmarks.fleet.run import fleet_benchmark
    from edge_pose.samples import WALKING

    try:
        settings = FleetSettings.model_validate(flags)
    except ValidationError as error:  # NaN passes click's ranges
        raise UsageError(f"fleet: {first_error(error)}") from None
    report = fleet_benchmark(
        settings,
        broker,
        lambda: read_messages(poses) if poses else record_messages(str(WALKING)),
        environment,
        lambda n, case, done: say(
            f"round {n} of {settings.rounds}: {case.devices} devices, QoS {case.qos}:"
            f" {done.received} of {done.sent} received, {done.unsent} not sent"
        ),
    )
    show(report, as_json=as_json)
