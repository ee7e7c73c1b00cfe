"""The bridge of examples/bridge, with two real brokers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.fleet.mosquitto import Mosquitto
from edge_pose.broker import HOST
from edge_pose.broker_url import parse_broker_url
from edge_pose.mqtt_link import MqttLink

EXAMPLES = Path(__file__).parents[2] / "examples" / "bridge"
TOPIC = "edge_pose/hall-3/camera0/poses"
PATIENCE_S = 30.0

pytestmark = pytest.mark.usefixtures("_mosquitto")


def example(name: str, folder: Path, replace: dict[str, str]) -> list[str]:
    """Return an example's lines for a broker of this test: other addresses, another folder."""
    text = (EXAMPLES / name).read_text("utf-8")
    # The test's brokers have listeners of their own, and may run as root in a folder of root's.
    places = {"listener 1883 127.0.0.1": "user root" if os.geteuid() == 0 else "# user"}
    places |= {"/var/lib/mosquitto/": f"{folder}/", **replace}
    for old, new in places.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.splitlines()


def wait_for(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "centre"
    folder.mkdir()
    with Mosquitto(folder, example("centre.conf", folder, {})) as broker:
        yield broker


@pytest.fixture
def edge(tmp_path: Path, centre: Mosquitto) -> Iterator[Mosquitto]:
    folder = tmp_path / "edge"
    folder.mkdir()
    address = {"centre.example.org:1883": f"{HOST}:{centre.port}"}
    with Mosquitto(folder, example("edge.conf", folder, address)) as broker:
        yield broker


class Archive:
    """An application at the centre with a session that stays: it misses nothing while away."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self.frames: list[int] = []
        self.bridge_up = threading.Event()

    def __enter__(self) -> Archive:
        client = Client(CallbackAPIVersion.VERSION2, "archive", clean_session=False)
        subscribed = threading.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _client, _data, message: self._note(message)
        client.connect(HOST, self._broker.port)
        client.subscribe([(TOPIC, 1), ("edge_pose_bridge/site-1/state", 1)])
        client.loop_start()
        self._client = client
        assert subscribed.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, message: MQTTMessage) -> None:
        if message.topic == TOPIC:
            self.frames.append(int(message.payload))
        elif message.payload == b"1":
            self.bridge_up.set()


def publish(broker: Mosquitto, frames: range) -> None:
    """Publish with QoS 1 and wait until the broker has confirmed everything."""
    link = MqttLink(parse_broker_url(broker.url).config)
    confirmed: list[int] = []
    link.on_published = confirmed.append
    link.open()
    for frame in frames:
        link.publish(TOPIC, b"%d" % frame, 1)
    wait_for(lambda: link.step(0.05) or len(confirmed) == len(frames))
    link.close()


def test_what_is_published_at_the_edge_arrives_at_the_centre(
    edge: Mosquitto, centre: Mosquitto
) -> None:
    with Archive(centre) as archive:
        assert archive.bridge_up.wait(PATIENCE_S)
        publish(edge, range(20))
        wait_for(lambda: len(archive.frames) >= 20)
        assert archive.frames == list(range(20))


def test_messages_survive_a_restart_of_the_centre(edge: Mosquitto, centre: Mosquitto) -> None:
    with Archive(centre) as archive:
        assert archive.bridge_up.wait(PATIENCE_S)
        publish(edge, range(10))
        wait_for(lambda: len(archive.frames) >= 10)
    publish(edge, range(10, 20))  # kept at the centre for the archive, which is away
    centre.stop()
    publish(edge, range(20, 40))  # kept at the edge for the centre, which is away
    centre.start()
    with archive:
        wait_for(lambda: set(archive.frames) == set(range(40)))
    # At least once, and in order: what was on the way when the centre went may come twice.
    assert list(dict.fromkeys(archive.frames)) == list(range(40))


def test_messages_survive_a_restart_of_the_edge(edge: Mosquitto, centre: Mosquitto) -> None:
    with Archive(centre) as archive:
        assert archive.bridge_up.wait(PATIENCE_S)
    centre.stop()
    publish(edge, range(15))
    edge.stop()
    centre.start()
    edge.start()
    with archive:
        wait_for(lambda: set(archive.frames) == set(range(15)))


def test_the_kafka_example_says_that_it_was_not_run() -> None:
    text = (EXAMPLES / "redpanda_connect.yaml").read_text("utf-8")
    assert "NOT RUN HERE" in text
    assert "edge_pose/+/+/poses" in text
