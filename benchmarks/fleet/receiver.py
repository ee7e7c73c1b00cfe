"""A process that counts: `python -m benchmarks.fleet.receiver`, see benchmarks.companion.

It is the product's own Subscriber, which comes back when it loses its connection. While messages
arrive it only notes who sent which frame and when it came; the first message of every device is
checked against its schema afterwards.
"""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.companion import Answer, serve
from edge_pose.broker_url import parse_broker_url
from edge_pose.errors import PublisherError
from edge_pose.subscriber import Received, Subscriber, examine

OPEN_S = 10.0
WAIT_S = 0.1  # a call that takes longer was held up by other work on the machine
QUIET_S = 1.0  # so long nothing must arrive after the end for the rest to be lost
LATEST_S = 15.0  # and that is not waited for any longer
FRAME = re.compile(rb'^\{"schema":"edge_pose\.poses/1","device":"fleet-(\d+)",[^{]*?"frame":(\d+)')


class Tally:
    """What arrived.

    Attributes:
        devices: number of the device, in the order of arrival.
        frames: number of the frame.
        arrived_s: on the monotonic clock.
        size_bytes: of all payloads.
        foreign: messages that are not a virtual device's.
        last_s: moment of the last message.
        first: the first message of every device.
    """

    def __init__(self) -> None:
        self.devices, self.frames, self.arrived_s = array("l"), array("l"), array("d")
        self.size_bytes = self.foreign = 0
        self.last_s = 0.0
        self.first: dict[int, tuple[str, bytes]] = {}

    def judge(self, topic: str, payload: bytes, *, retained: bool) -> Received:
        """Count one message; a Subscriber's `judge`."""
        self.last_s = time.monotonic()
        match = FRAME.match(payload)
        if match is None:
            self.foreign += 1
            return Received(topic, None, "not a virtual device's", retained)
        device = int(match[1])
        self.devices.append(device)
        self.frames.append(int(match[2]))
        self.arrived_s.append(self.last_s)
        self.size_bytes += len(payload)
        if device not in self.first:
            self.first[device] = topic, payload
        return Received(topic, {}, None, retained)

    def problems(self) -> list[str]:
        """Return what is wrong with the first messages of the devices."""
        found = (examine(topic, payload).problem for topic, payload in self.first.values())
        return [problem for problem in found if problem is not None]


def work(task: Answer, ready: Callable[[Answer], Answer]) -> Answer:
    """Subscribe, count until all is quiet after the end, and write what arrived.

    Args:
        task: broker, topic_filter and the `file` for three arrays: devices, frames, arrived_s.
        ready: tells that the broker has granted the subscription; the answer has the `end_s`.
    """
    tally = Tally()
    config = parse_broker_url(task["broker"]).config
    with Subscriber(config, [task["topic_filter"]], OPEN_S, judge=tally.judge) as subscriber:
        _subscribe(subscriber)
        end_s = ready({})["end_s"]
        losses, listening, stall_s, returned_s = 0, True, 0.0, time.monotonic()
        while not _over(end_s, tally.last_s):
            subscriber.receive(WAIT_S)
            losses += listening and not subscriber.listening
            listening = subscriber.listening
            before_s, returned_s = returned_s, time.monotonic()
            if listening:  # connecting takes its time
                stall_s = max(stall_s, returned_s - before_s - WAIT_S)
    np.savez(
        Path(task["file"]),
        devices=np.asarray(tally.devices, np.int64),
        frames=np.asarray(tally.frames, np.int64),
        arrived_s=np.asarray(tally.arrived_s, np.float64),
    )
    return {
        "connection_losses": losses,
        "stall_s": stall_s,
        "size_bytes": tally.size_bytes,
        "foreign": tally.foreign,
        "problems": tally.problems(),
    }


def _subscribe(subscriber: Subscriber) -> None:
    deadline_s = time.monotonic() + OPEN_S
    while not subscriber.listening:
        subscriber.receive(0.05)
        if time.monotonic() > deadline_s:
            problem = subscriber.problem or "does not grant the subscription"
            raise PublisherError(f"MQTT broker {subscriber.target}: {problem}")


def _over(end_s: float, last_s: float) -> bool:
    now_s = time.monotonic()
    return now_s > end_s + LATEST_S or now_s > max(end_s, last_s) + QUIET_S


if __name__ == "__main__":
    serve(work)
