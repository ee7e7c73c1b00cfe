"""`edge-pose-bench fleet`: N devices, one broker, and what gets lost or late on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.environment import Environment
from benchmarks.fleet.mosquitto import Mosquitto
from benchmarks.fleet.one_round import Fleet, run_round
from benchmarks.fleet.pose_messages import with_people
from benchmarks.fleet.report import (
    BrokerFacts,
    Case,
    FleetReport,
    FleetRound,
    FleetSettings,
    Headroom,
    Level,
    summarize,
)
from edge_pose.broker_url import parse_broker_url
from edge_pose.errors import PublisherError
from edge_pose.mqtt_link import LinkError, MqttLink
from edge_pose.types import utc_now

PROBE_S = 5.0
FLAT_OUT_HZ, FLAT_OUT_S = 40_000.0, 3.0  # asked of the fleet: more than any Python sends


def fleet_benchmark(
    settings: FleetSettings,
    broker: str | None,
    get_messages: Callable[[], Sequence[dict[str, Any]]],
    environment: Environment,
    on_round: Callable[[int, Case, FleetRound], None] = lambda _number, _case, _round: None,
    on_start: Callable[[Sequence[int]], None] = lambda _pids: None,
) -> FleetReport:
    """Measure every combination in every round, another one first each time.

    Args:
        settings: what to measure.
        broker: URL; None starts a mosquitto.
        get_messages: returns the pose messages that the devices publish, once there is a broker.
        environment: read before anything was started.
        on_round: called after each combination with the number of the round from 1.
        on_start: called before each with the process ids of the receivers.

    Raises:
        EdgePoseError: there is no broker, or it is lost.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own = None if broker else stack.enter_context(Mosquitto(folder))
        url = own.url if own else str(broker)
        facts = _probe(url, own)
        messages = get_messages()
        fleet = Fleet(
            broker=url,
            broker_pid=own.pid if own else None,
            messages={people: with_people(messages, people) for people in settings.people},
            warm_up_s=settings.warm_up_s,
            measured_s=settings.measured_s,
            workers=settings.workers,
            receivers=settings.receivers,
            folder=folder,
            on_start=on_start,
        )
        headroom = _flat_out(fleet, settings) if own else None
        levels = _levels(fleet, settings, headroom, on_round)
    return FleetReport(
        created_at=utc_now(),
        environment=environment,
        settings=settings,
        broker=facts,
        headroom=headroom,
        levels=tuple(levels),
    )


def _levels(
    fleet: Fleet,
    settings: FleetSettings,
    headroom: Headroom | None,
    on_round: Callable[[int, Case, FleetRound], None],
) -> list[Level]:
    cases = [
        Case(devices=devices, qos=qos, people=people, rate_hz=settings.rate_hz)
        for people, qos, devices in product(settings.people, settings.qos, settings.devices)
    ]
    rounds: list[list[FleetRound]] = [[] for _ in cases]
    for number in range(settings.rounds):
        first = number % len(cases)
        for place in (*range(first, len(cases)), *range(first)):
            rounds[place].append(run_round(fleet, cases[place]))
            on_round(number + 1, cases[place], rounds[place][-1])
    return [summarize(case, done, headroom) for case, done in zip(cases, rounds, strict=True)]


def _flat_out(fleet: Fleet, settings: FleetSettings) -> Headroom:
    """Ask for more than can be sent: what still gets through is what the fleet can do."""
    devices = max(settings.devices)
    case = Case(
        devices=devices,
        qos=min(settings.qos),
        people=max(settings.people),
        rate_hz=FLAT_OUT_HZ / devices,
    )
    done = run_round(replace(fleet, warm_up_s=0.0, measured_s=FLAT_OUT_S), case)
    kib = None
    if done.broker_kib_before is not None and done.broker_kib_connected is not None:
        kib = (done.broker_kib_connected - done.broker_kib_before) / devices
    return Headroom(
        devices=devices,
        sent_hz=done.sent_hz,
        received_hz=done.received_hz,
        broker_kib_per_connection=kib,
    )


def _probe(url: str, own: Mosquitto | None) -> BrokerFacts:
    """Connect once: a broker that is not there must show before processes are started."""
    link = MqttLink(parse_broker_url(url).config, PROBE_S)
    try:
        link.open()
    except LinkError as error:
        raise PublisherError(f"MQTT broker {link.target}: {error}") from None
    finally:
        link.close(0.2)
    return BrokerFacts(
        target=link.target,
        own=own is not None,
        version=own.version() if own else None,
        settings=own.settings if own else (),
    )
