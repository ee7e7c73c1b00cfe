from __future__ import annotations

from typing import Any

from benchmarks.fleet.report import Case, FleetRound, Headroom, limits


def done_round(**changes: Any) -> FleetRound:
    calm = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0}
    values = dict.fromkeys(FleetRound.model_fields, 0)
    values |= {"due": 100, "sent": 100, "received": 100, "delay_ms": calm, "lateness_ms": calm}
    return FleetRound.model_validate({**values, "problems": (), **changes})


CASE = Case(devices=10, qos=0, people=1, rate_hz=10.0)
PLENTY = Headroom(devices=10, sent_hz=1e4, received_hz=1e4, broker_kib_per_connection=None)


def test_what_limits_a_result() -> None:
    assert limits(CASE, [done_round()], PLENTY) == []
    late = {"p50": 1.0, "p95": 26.0, "p99": 30.0, "max": 40.0}  # a quarter of 100 ms is 25
    assert limits(CASE, [done_round(lateness_ms=late)], None) == [
        "generator: p95 26 ms behind its schedule"
    ]
    assert limits(CASE, [done_round(sent=98, received=98, unsent=2)], None) == [
        "generator: 2.0% of the messages were not sent in time"
    ]
    assert limits(CASE, [done_round(receiver_cpu_percent=93.0)], None) == [
        "receiver: a process used 93 % of a core"
    ]
    assert limits(CASE, [done_round(), done_round(receiver_stall_ms=612.3)], None) == [
        "receiver: other work held it up for up to 612 ms"
    ]
    scarce = PLENTY.model_copy(update={"received_hz": 120.0})
    assert limits(CASE, [done_round()], scarce) == ["headroom: 120/s can be received here at most"]
