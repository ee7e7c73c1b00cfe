"""A process that is many devices: `python -m benchmarks.fleet.sender`, see benchmarks.companion.

One thread drives all connections, each of them the product's own MqttLink. A message that is due
goes out at once, however late it is; one whose connection is still busy with the message before is
not sent, and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.companion import Answer, serve, sleep_until
from benchmarks.fleet.pose_messages import PoseMessages
from benchmarks.fleet.schedule import Schedule
from edge_pose.broker_url import parse_broker_url
from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.mqtt_link import LinkError, MqttLink

OPEN_S = 10.0
GRACE_S = 1.0  # after the last moment: what is still not sent by then is given up
ACKNOWLEDGED_S = 5.0
LOOK_AFTER_S = 0.2  # every connection is looked after at least so often
AGAIN_S = 1.0  # between two attempts to connect


class Device:
    """One virtual device: a connection that comes back when it is lost.

    Attributes:
        losses: of the connection.
        acknowledged: messages that the broker has confirmed (QoS 1).
    """

    def __init__(self, config: MqttConfig) -> None:
        self._link = MqttLink(config, OPEN_S)
        self._link.on_published = self._on_published
        self._up = False
        self._again_s = 0.0
        self._waiting: set[int] = set()
        self.losses = self.acknowledged = 0

    def open(self) -> None:
        """Connect.

        Raises:
            PublisherError: the broker does not answer, or refuses.
        """
        try:
            self._link.open()
        except LinkError as error:
            raise PublisherError(f"MQTT broker {self._link.target}: {error}") from None
        self._up = True

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Send one message; False where the connection is not there or still busy."""
        if not self._up or self._link.want_write:
            return False
        info = self._link.publish(topic, payload, qos)
        if qos:
            self._waiting.add(info.mid)
        return True

    def look_after(self, timeout_s: float = 0.0) -> None:
        """Read and write what can be, and connect again where that is due."""
        try:
            if self._up:
                self._link.step(timeout_s)
            elif time.monotonic() >= self._again_s:
                self._link.open()
                self._up = True
        except LinkError:
            self.losses += self._up
            self._up = False
            self._again_s = time.monotonic() + AGAIN_S

    @property
    def finished(self) -> bool:
        """True where nothing is left to write or to be confirmed."""
        return not self._up or not (self._link.want_write or self._waiting)

    def close(self) -> None:
        """Say goodbye."""
        self._link.close(0.2)

    def _on_published(self, mid: int) -> None:
        if mid in self._waiting:
            self._waiting.discard(mid)
            self.acknowledged += 1


def work(task: Answer, ready: Callable[[Answer], Answer]) -> Answer:
    """Connect, wait for the word, publish, and write when each message went out.

    Args:
        task: broker, schedule, messages, qos, `numbers` of the devices that this process is, and
            the `file` for the moments: (devices of this process, frames) on the monotonic clock,
            NaN where nothing was sent.
        ready: tells that all are connected; the answer has the `start_s`.
    """
    schedule = Schedule(**task["schedule"])
    messages = PoseMessages(task["messages"])
    config = parse_broker_url(task["broker"]).config
    devices = [Device(config) for _ in task["numbers"]]
    try:
        for device in devices:
            device.open()
        start_s = ready({})["start_s"]
        sent_s = _publish(devices, task["numbers"], schedule, messages, task["qos"], start_s)
        _settle(devices)
    finally:
        for device in devices:
            device.close()
    np.save(Path(task["file"]), sent_s)
    return {
        "connection_losses": sum(device.losses for device in devices),
        "acknowledged": sum(device.acknowledged for device in devices),
    }


def _publish(
    devices: list[Device],
    numbers: list[int],
    schedule: Schedule,
    messages: PoseMessages,
    qos: int,
    start_s: float,
) -> NDArray[np.float64]:
    due_s = schedule.due_s()[numbers]
    order = np.argsort(due_s, axis=None, kind="stable")
    topics = [schedule.topic(number, messages.camera) for number in numbers]
    names = [schedule.device(number) for number in numbers]
    sent_s = np.full(due_s.shape, np.nan)
    give_up_s = start_s + schedule.duration_s + GRACE_S
    looked_s = time.monotonic()
    for index, due in zip(order.tolist(), due_s.ravel()[order].tolist(), strict=True):
        looked_s = _wait(start_s + due, devices, looked_s)
        one, frame = divmod(index, schedule.frames)
        payload = messages.payload(names[one], frame)
        now_s = time.monotonic()
        if now_s > give_up_s:
            break
        if devices[one].publish(topics[one], payload, qos):
            sent_s[one, frame] = now_s
        devices[one].look_after()
    return sent_s


def _wait(until_s: float, devices: list[Device], looked_s: float) -> float:
    """Wait for the next message; return when the connections were last looked after."""
    while True:
        now_s = time.monotonic()
        if now_s - looked_s > LOOK_AFTER_S:
            for device in devices:
                device.look_after()
            looked_s = now_s
        if now_s >= until_s:
            return looked_s
        sleep_until(min(until_s, looked_s + LOOK_AFTER_S))


def _settle(devices: list[Device]) -> None:
    """Give the last messages time to leave and to be confirmed."""
    deadline_s = time.monotonic() + ACKNOWLEDGED_S
    for device in devices:
        while not device.finished and time.monotonic() < deadline_s:
            device.look_after(0.05)


if __name__ == "__main__":
    serve(work)
