"""The report of `edge-pose-bench fleet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from benchmarks.report import Report, Spread, Table, spread

PercentilesMs = dict[str, float]
"""p50, p95, p99 and max, ms."""


class FleetSettings(Table):
    """What was asked for."""

    devices: tuple[int, ...] = Field(min_length=1)
    rate_hz: float = Field(gt=0, description="messages per second of each device")
    qos: tuple[int, ...] = Field(min_length=1)
    people: tuple[int, ...] = Field(min_length=1, description="in every message")
    measured_s: float = Field(gt=0)
    warm_up_s: float = Field(ge=0, description="before that, excluded")
    rounds: int = Field(ge=1)
    workers: int | None = Field(
        description="sending processes; None: one per 50 devices, 4 at most"
    )
    receivers: int = Field(ge=1, description="processes that the devices are dealt out to")


class BrokerFacts(Table):
    """Who carried the messages."""

    target: str = Field(description="host:port")
    own: bool = Field(description="started by the benchmark, on this machine")
    version: str | None = Field(description="None: not ours")
    settings: tuple[str, ...] = Field(description="lines of its configuration, where it is ours")


class Case(Table):
    """One combination."""

    devices: int = Field(ge=1)
    qos: int = Field(ge=0, le=1)
    people: int = Field(ge=0)
    rate_hz: float = Field(gt=0)

    @property
    def asked_hz(self) -> float:
        """Messages per second of all devices."""
        return self.devices * self.rate_hz


class FleetRound(Table):
    """One combination, once."""

    due: int = Field(description="messages that the schedule asked for in the measured time")
    sent: int
    received: int = Field(description="each counted once")
    lost: int = Field(description="sent and never received: gaps in the frame numbers")
    unsent: int = Field(description="due, and the fleet could not send them")
    duplicates: int
    unknown: int = Field(description="received and not from this fleet")
    devices_with_loss: int
    worst_device_lost: int
    sent_hz: float
    received_hz: float
    payload_bytes: float = Field(description="mean")
    delay_ms: PercentilesMs | None = Field(
        description="from sending to arrival; None: nothing came"
    )
    lateness_ms: PercentilesMs | None = Field(description="of the fleet itself, due to sent")
    broker_cpu_percent: float | None = Field(description="of one core; None: not told")
    sender_cpu_percent: float | None = Field(description="of the busiest sending process")
    receiver_cpu_percent: float | None = Field(description="of the busiest receiving process")
    receiver_stall_ms: float = Field(
        description="longest time for which a receiver that wanted to run did not"
    )
    broker_kib_before: int | None = Field(
        description="memory of the broker before the devices came"
    )
    broker_kib_connected: int | None = Field(description="with all of them, before any message")
    connection_losses: int
    acknowledged: int = Field(description="QoS 1, warm-up included")
    problems: tuple[str, ...] = Field(description="with messages that do not fit their schema")

    @property
    def loss_percent(self) -> float:
        """Of what was sent."""
        return 100.0 * self.lost / self.sent if self.sent else 0.0


class Headroom(Table):
    """What fleet and receivers can do with this broker on this machine, sending flat out."""

    devices: int
    sent_hz: float
    received_hz: float
    broker_kib_per_connection: float | None = Field(
        description="memory that the first connections of the broker's life took"
    )


class Level(Table):
    """One combination over the rounds."""

    case: Case
    rounds: tuple[FleetRound, ...] = Field(min_length=1)
    received_hz: Spread
    loss_percent: Spread
    delay_ms: dict[str, Spread] | None = Field(description="None: nothing came in some round")
    lateness_p99_ms: Spread | None
    broker_cpu_percent: Spread | None
    limited_by: tuple[str, ...] = Field(
        description="reasons why the figures tell more about the benchmark than about the broker"
    )


class FleetReport(Report):
    """The whole report."""

    kind: Literal["fleet"] = "fleet"
    settings: FleetSettings
    broker: BrokerFacts
    headroom: Headroom | None = Field(description="None: not measured with somebody else's broker")
    levels: tuple[Level, ...] = Field(min_length=1)


UNSENT = 0.01  # share of due messages above which the fleet did not keep its schedule
LATE = 0.25  # lateness p95 over the period of a device
BUSY_PERCENT = 80.0  # of one core, for a process with one thread
STALL_MS = 100.0
SHARE = 0.7  # of the headroom


def summarize(case: Case, rounds: Sequence[FleetRound], headroom: Headroom | None) -> Level:
    """Return one combination's figures, and what limited them."""
    delays = [done.delay_ms for done in rounds if done.delay_ms is not None]
    late = [done.lateness_ms["p99"] for done in rounds if done.lateness_ms is not None]
    cpu = [d.broker_cpu_percent for d in rounds if d.broker_cpu_percent is not None]
    complete = len(delays) == len(rounds)
    return Level(
        case=case,
        rounds=tuple(rounds),
        received_hz=spread(done.received_hz for done in rounds),
        loss_percent=spread(done.loss_percent for done in rounds),
        delay_ms={p: spread(d[p] for d in delays) for p in delays[0]} if complete else None,
        lateness_p99_ms=spread(late) if late else None,
        broker_cpu_percent=spread(cpu) if cpu else None,
        limited_by=tuple(limits(case, rounds, headroom)),
    )


def limits(case: Case, rounds: Sequence[FleetRound], headroom: Headroom | None) -> list[str]:
    """Return why a result is bound by the benchmark itself; empty where it is not."""
    found = []
    unsent = sum(done.unsent for done in rounds) / sum(done.due for done in rounds)
    if unsent > UNSENT:
        found.append(f"generator: {unsent:.1%} of the messages were not sent in time")
    late_ms = max((done.lateness_ms["p95"] for done in rounds if done.lateness_ms), default=0.0)
    if late_ms > LATE * 1e3 / case.rate_hz:
        found.append(f"generator: p95 {late_ms:.0f} ms behind its schedule")
    for who in ("sender", "receiver"):
        shares = (getattr(done, f"{who}_cpu_percent") for done in rounds)
        busiest = max((share for share in shares if share is not None), default=0.0)
        if busiest > BUSY_PERCENT:
            found.append(f"{who}: a process used {busiest:.0f} % of a core")
    stall_ms = max(done.receiver_stall_ms for done in rounds)
    if stall_ms > STALL_MS:
        found.append(f"receiver: other work held it up for up to {stall_ms:.0f} ms")
    if headroom is not None:
        for what, able_hz in (("sent", headroom.sent_hz), ("received", headroom.received_hz)):
            if case.asked_hz > SHARE * able_hz:
                found.append(f"headroom: {able_hz:.0f}/s can be {what} here at most")
    return found
