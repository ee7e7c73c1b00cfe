"""A fleet report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.fleet.report import FleetReport, Level
from benchmarks.tables import machine_text, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

# So short that the table fits 80 columns.
COLUMNS = ("devices", "QoS", "people", "B", "/s", "lost %", "p50 ms", "p95", "p99", "CPU %")


def fleet_tables(report: FleetReport) -> list[RenderableType]:
    """Return what to print for a fleet report; the spread over the rounds is in its JSON."""
    settings = report.settings
    table = plain_table(
        f"{settings.rate_hz:g} messages per second and device for {settings.measured_s:g} s after"
        f" {settings.warm_up_s:g} s of warm-up; bytes of a message, messages received, delay from"
        f" sending to arrival, CPU of the broker: medians, rounds: {settings.rounds}",
        COLUMNS,
    )
    for level in report.levels:
        table.add_row(*_row(level))
    limits = [
        f"{level.case.devices} devices, QoS {level.case.qos}: limited by {reason}"
        for level in report.levels
        for reason in level.limited_by
    ]
    return [table, *limits, _facts(report)]


def _row(level: Level) -> tuple[str, ...]:
    case = level.case
    size = sum(done.payload_bytes for done in level.rounds) / len(level.rounds)
    delay, cpu = level.delay_ms, level.broker_cpu_percent
    return (
        str(case.devices),
        str(case.qos),
        str(case.people),
        f"{size:.0f}",
        f"{level.received_hz.median:.0f}",
        f"{level.loss_percent.median:.2f}",
        *("" if delay is None else f"{delay[p].median:.1f}" for p in ("p50", "p95", "p99")),
        "" if cpu is None else f"{cpu.median:.0f}",
    )


def _facts(report: FleetReport) -> Table:
    table = plain_table(None, ("", ""))
    broker = report.broker
    table.add_row("broker", f"{broker.version or broker.target} ({', '.join(broker.settings)})")
    if report.headroom is not None:
        able = report.headroom
        text = f"{able.sent_hz:.0f} sent, {able.received_hz:.0f} received per second"
        table.add_row("flat out", f"{text} with {able.devices} devices")
        if able.broker_kib_per_connection is not None:
            table.add_row("memory", f"{able.broker_kib_per_connection:.1f} KiB per connection")
    load = report.environment.load_1min
    table.add_row("machine", machine_text(report.environment))
    table.add_row("load before", "unknown" if load is None else f"{load:g}")
    return table
