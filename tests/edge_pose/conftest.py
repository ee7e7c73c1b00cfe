"""A real broker and somebody who listens to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge_pose.broker import BrokerAddress, embedded_broker, free_port
from edge_pose.config import MqttConfig
from edge_pose.subscriber import Received, Subscriber


@pytest.fixture
def embedded(need: Callable[[str], object]) -> Iterator[BrokerAddress]:
    """An MQTT broker inside the test process."""
    need("amqtt")
    with embedded_broker() as address:
        yield address


@pytest.fixture
def nobody() -> BrokerAddress:
    """An address at which no broker listens."""
    return BrokerAddress("127.0.0.1", free_port())


class Listener:
    """Collects what a broker carries, in a thread; every message must follow the contract."""

    def __init__(self, address: BrokerAddress) -> None:
        self.received: list[Received] = []
        self._config = MqttConfig(host=address.host, port=address.port)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        with Subscriber(self._config, ["edge_pose/#"]) as subscriber:
            while not self._stop.is_set():
                received = subscriber.receive(0.05)
                if received is not None:
                    self.received.append(received)
                if subscriber.ever_connected:
                    self._ready.set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def messages(self, kind: str) -> list[dict[str, Any]]:
        assert [r.problem for r in self.received if r.problem] == []
        found = [r.message for r in list(self.received) if r.message is not None]
        return [message for message in found if message["schema"] == f"edge_pose.{kind}/1"]

    def until(self, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline_s, f"{self.received}"
            time.sleep(0.02)

    def kept(self) -> tuple[str, str]:
        """Return the states of device and camera that the broker kept for a late listener."""
        self.until(lambda: self.messages("status") and self.messages("state"))
        assert all(received.retained for received in self.received)
        return self.messages("status")[0]["state"], self.messages("state")[0]["state"]

    def until_offline(self) -> None:
        """Wait until the device says goodbye: whatever it sent before is here then."""
        self.until(lambda: any(m["state"] == "offline" for m in self.messages("status")))


@pytest.fixture
def listen() -> Iterator[Callable[[BrokerAddress], Listener]]:
    """Listen to a broker until the end of the test."""
    listeners: list[Listener] = []

    def start(address: BrokerAddress) -> Listener:
        listeners.append(Listener(address))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop()
