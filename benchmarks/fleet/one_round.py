"""One combination, once: fresh processes, ramp-up, warm-up, the measured time, the count."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.companion import Answer, Companion, sleep_until
from benchmarks.fleet.process_usage import cpu_s, memory_kib
from benchmarks.fleet.reckoning import Arrivals, percentiles_ms, reckon
from benchmarks.fleet.report import Case, FleetRound
from benchmarks.fleet.schedule import Schedule

PER_WORKER, MAX_WORKERS = 50, 4
LEAD_S = 0.3  # between the word to go and the first message
PATIENCE_S = 60.0  # for the answers after the end


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all rounds have in common.

    Attributes:
        broker: its URL.
        broker_pid: None where it is not ours.
        messages: by people per message.
        warm_up_s: excluded.
        measured_s: after that.
        workers: sending processes; None for as many as the devices need.
        receivers: processes that count.
        folder: for what the processes write.
        on_start: called with the receivers' process ids when everybody is about to begin.
    """

    broker: str
    broker_pid: int | None
    messages: dict[int, list[dict[str, Any]]]
    warm_up_s: float
    measured_s: float
    workers: int | None
    receivers: int
    folder: Path
    on_start: Callable[[Sequence[int]], None] = lambda _pids: None

    def worker_count(self, devices: int) -> int:
        """Return how many processes send."""
        wanted = self.workers or min(MAX_WORKERS, math.ceil(devices / PER_WORKER))
        return min(wanted, devices)


def run_round(fleet: Fleet, case: Case) -> FleetRound:
    """Measure one combination.

    Raises:
        EdgePoseError: the broker does not answer, or a process of the fleet ends.
    """
    schedule = Schedule(
        devices=case.devices,
        rate_hz=case.rate_hz,
        warm_up_s=fleet.warm_up_s,
        measured_s=fleet.measured_s,
        prefix=f"edge_pose_fleet/{uuid.uuid4().hex[:8]}",
        groups=fleet.receivers,
    )
    with ExitStack() as stack:
        receivers = [
            stack.enter_context(_receiver(fleet, schedule, group))
            for group in range(fleet.receivers)
        ]
        for receiver in receivers:
            receiver.answer()
        before_kib = _memory(fleet)
        senders = [
            stack.enter_context(_sender(fleet, case, schedule, numbers))
            for numbers in _shares(case.devices, fleet.worker_count(case.devices))
        ]
        for sender in senders:
            sender.answer()
        connected_kib = _memory(fleet)
        fleet.on_start([receiver.pid for receiver in receivers])
        start_s = time.monotonic() + LEAD_S
        for companion in (*senders, *receivers):
            companion.tell({"start_s": start_s, "end_s": start_s + schedule.duration_s})
        usage = _watch(fleet, schedule, start_s, senders, receivers)
        sent = [sender.answer(PATIENCE_S) for sender in senders]
        came = [receiver.answer(PATIENCE_S) for receiver in receivers]
    found = _count(fleet, case, schedule, start_s, sent, came)
    return FleetRound(
        **found,
        broker_cpu_percent=usage["broker"],
        sender_cpu_percent=usage["sender"],
        receiver_cpu_percent=usage["receiver"],
        broker_kib_before=before_kib,
        broker_kib_connected=connected_kib,
    )


def _shares(devices: int, workers: int) -> list[list[int]]:
    return [list(range(worker, devices, workers)) for worker in range(workers)]


def _receiver(fleet: Fleet, schedule: Schedule, group: int) -> Companion:
    task = {
        "broker": fleet.broker,
        "topic_filter": schedule.topic_filter(group),
        "file": str(fleet.folder / f"received_{group}.npz"),
    }
    return Companion("benchmarks.fleet.receiver", task, "fleet: receiver")


def _sender(fleet: Fleet, case: Case, schedule: Schedule, numbers: list[int]) -> Companion:
    task = {
        "broker": fleet.broker,
        "schedule": asdict(schedule),
        "messages": fleet.messages[case.people],
        "qos": case.qos,
        "numbers": numbers,
        "file": str(_sent_file(fleet, numbers[0])),
    }
    return Companion("benchmarks.fleet.sender", task, "fleet: sender")


def _sent_file(fleet: Fleet, worker: int) -> Path:
    return fleet.folder / f"sent_{worker}.npy"


def _memory(fleet: Fleet) -> int | None:
    return None if fleet.broker_pid is None else memory_kib(fleet.broker_pid)


def _watch(
    fleet: Fleet,
    schedule: Schedule,
    start_s: float,
    senders: Sequence[Companion],
    receivers: Sequence[Companion],
) -> dict[str, float | None]:
    """Return the processor time of the measured time, percent of one core, by who used it."""
    pids = {
        "broker": [] if fleet.broker_pid is None else [fleet.broker_pid],
        "sender": [sender.pid for sender in senders],
        "receiver": [receiver.pid for receiver in receivers],
    }
    moments = []
    for moment_s in (start_s + schedule.warm_up_s, start_s + schedule.duration_s):
        sleep_until(moment_s)
        used = {who: [cpu_s(pid) for pid in some] for who, some in pids.items()}
        moments.append((time.monotonic(), used))
    (before_s, before), (after_s, after) = moments
    shares: dict[str, float | None] = {}
    for who in pids:
        pairs = zip(before[who], after[who], strict=True)
        known = [b - a for a, b in pairs if a is not None and b is not None]
        shares[who] = 100.0 * max(known) / (after_s - before_s) if known else None
    return shares


def _count(
    fleet: Fleet,
    case: Case,
    schedule: Schedule,
    start_s: float,
    sent: Sequence[Answer],
    came: Sequence[Answer],
) -> dict[str, Any]:
    due_s = start_s + schedule.due_s()
    sent_s = np.full(due_s.shape, np.nan)
    for numbers in _shares(case.devices, fleet.worker_count(case.devices)):
        sent_s[numbers] = np.load(_sent_file(fleet, numbers[0]))
    files = [np.load(fleet.folder / f"received_{group}.npz") for group in range(fleet.receivers)]
    columns = ("devices", "frames", "arrived_s")
    arrivals = Arrivals(*(np.concatenate([file[name] for file in files]) for name in columns))
    found = reckon(due_s, sent_s, arrivals, schedule.warm_up_frames)
    measured_s = schedule.duration_s - schedule.warm_up_frames / schedule.rate_hz
    messages = max(len(arrivals.devices), 1)
    return {
        "due": found.due,
        "sent": found.sent,
        "received": found.received,
        "lost": found.lost,
        "unsent": found.unsent,
        "duplicates": found.duplicates,
        "unknown": found.unknown + sum(answer["foreign"] for answer in came),
        "devices_with_loss": found.devices_with_loss,
        "worst_device_lost": found.worst_device_lost,
        "sent_hz": found.sent / measured_s,
        "received_hz": found.received / measured_s,
        "payload_bytes": sum(answer["size_bytes"] for answer in came) / messages,
        "delay_ms": percentiles_ms(found.delay_s),
        "lateness_ms": percentiles_ms(found.lateness_s),
        "connection_losses": sum(answer["connection_losses"] for answer in (*sent, *came)),
        "receiver_stall_ms": 1e3 * max(answer["stall_s"] for answer in came),
        "acknowledged": sum(answer["acknowledged"] for answer in sent),
        "problems": tuple(problem for answer in came for problem in answer["problems"]),
    }
