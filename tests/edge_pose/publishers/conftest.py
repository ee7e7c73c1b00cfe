"""Real brokers, a listener, and results to publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone

import numpy as np
import pytest

from edge_pose.broker import embedded_broker
from edge_pose.config import MqttConfig
from edge_pose.messages import MessageContext, poses_message
from edge_pose.publishers.base import Publisher
from edge_pose.subscriber import Received, Subscriber
from edge_pose.types import Frame, FrameResult, Pose


@pytest.fixture
def context() -> MessageContext:
    return MessageContext("device-1", "camera0", "hourglass", "ab" * 32, "mpii16", "0.1.0")


def pose(seed: int, person: int | None = 1) -> Pose:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(5, 150, (16, 2)).astype(np.float32)
    corners = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
    scores = rng.uniform(0.4, 1, 16).astype(np.float32)
    return Pose(keypoints, scores, corners, float(scores.mean()), person)


@pytest.fixture
def make_result() -> Callable[..., FrameResult]:
    def make(index: int = 0, persons: int = 1, width: int = 160, height: int = 120) -> FrameResult:
        image = np.full((height, width, 3), 90, np.uint8)
        at = datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=timezone.utc)
        poses = tuple(pose(index + person, person) for person in range(persons))
        return FrameResult(Frame(image, index, at, 1.0 + index / 25), poses, {}, 0.0123, 0)

    return make


@pytest.fixture
def publish(
    context: MessageContext, make_result: Callable[..., FrameResult]
) -> Callable[..., None]:
    """Give a publisher some frames: `publish(publisher, range(5), pause_s=0.01, key=value)`."""

    def publish(
        publisher: Publisher,
        frames: Iterable[int],
        *,
        persons: int = 1,
        pause_s: float = 0.0,
        **changes: object,
    ) -> None:
        for index in frames:
            result = make_result(index, persons=persons)
            publisher.poses(result, {**poses_message(result, context), **changes})
            if pause_s:
                time.sleep(pause_s)

    return publish


@pytest.fixture(params=["amqtt", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Iterator[MqttConfig]:
    """How to reach a broker without users; every test that asks for it runs with two brokers."""
    if request.param == "mosquitto":
        process = request.getfixturevalue("mosquitto")()
        yield MqttConfig(host=process.host, port=process.port)
    else:
        with embedded_broker() as address:
            yield MqttConfig(host=address.host, port=address.port)


class Ear:
    """Collects everything that a broker carries, in a thread."""

    def __init__(self, config: MqttConfig, topic_filter: str, until: Callable[..., None]) -> None:
        self.received: list[Received] = []
        self._stop = threading.Event()
        self._subscriber = Subscriber(config, [topic_filter])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until(lambda: self._subscriber.listening)

    def _run(self) -> None:
        with self._subscriber:
            while not self._stop.is_set():
                received = self._subscriber.receive(0.05)
                if received is not None:
                    self.received.append(received)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def valid(self, kind: str) -> list[dict[str, object]]:
        assert [r.problem for r in self.received if r.problem] == []
        messages = [r.message for r in list(self.received) if r.message is not None]
        return [m for m in messages if m["schema"] == f"edge_pose.{kind}/1"]

    def states(self) -> list[object]:
        return [m["state"] for m in self.valid("status")]

    def frames(self) -> list[object]:
        return [m["frame"] for m in self.valid("poses")]


@pytest.fixture
def listen_to(until: Callable[..., None]) -> Iterator[Callable[..., Ear]]:
    ears: list[Ear] = []

    def start(config: MqttConfig, topic_filter: str = "edge_pose/#") -> Ear:
        ears.append(Ear(config, topic_filter, until))
        return ears[-1]

    yield start
    for ear in ears:
        ear.stop()
