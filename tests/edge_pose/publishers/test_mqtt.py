"""The MQTT publisher against real brokers: what arrives, and what is counted."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.messages import (
    MessageContext,
    PowerFigures,
    poses_message,
    state_message,
    stats_message,
)
from edge_pose.publishers.mqtt import MqttPublisher
from edge_pose.types import FrameResult

FAST = (0.05, 0.2)

LATENCY = {"infer": {"p50": 10.0, "p95": 12.0, "p99": 20.0}}


def stats(context: MessageContext) -> dict[str, object]:
    power = PowerFigures(2.5, 0.1, "estimated", "estimate")
    return stats_message(
        context, uptime_s=10, frames=250, fps=25.0, latency_ms=LATENCY,
        dropped_source=1, dropped_mqtt=0, power=power,
    )  # fmt: skip


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_kind_of_message_arrives_and_is_valid(
    broker: MqttConfig,
    qos: int,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker)
    publisher = MqttPublisher(broker.model_copy(update={"qos": qos}), context)
    publisher.state(state_message(context, "running"))
    publisher.stats(stats(context))
    publish(publisher, range(20), persons=2)
    report = publisher.close()
    until(lambda: len(ear.received) == 24)
    assert (report.sent, report.dropped) == (20, 0)
    assert ear.frames() == list(range(20))
    assert ear.states() == ["online", "offline"]
    assert [m["state"] for m in ear.valid("state")] == ["running"]
    assert ear.valid("stats")[0]["power"]["watts"] == 2.5
    assert {r.topic for r in ear.received} == {
        "edge_pose/device-1/status",
        "edge_pose/device-1/stats",
        "edge_pose/device-1/camera0/state",
        "edge_pose/device-1/camera0/poses",
    }


def test_a_file_loses_nothing_however_fast_it_is(
    broker: MqttConfig,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker)
    config = broker.model_copy(update={"queue_size": 16})
    publisher = MqttPublisher(config, context, block_s=30)
    publish(publisher, range(3000))
    report = publisher.close()
    assert (report.sent, report.dropped) == (3000, 0)
    until(lambda: len(ear.received) >= 3002)
    assert ear.frames() == list(range(3000))


def test_status_and_state_are_kept_for_late_subscribers(
    broker: MqttConfig,
    context: MessageContext,
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    publisher = MqttPublisher(broker, context)
    publisher.state(state_message(context, "stale", "no new frame for 5 s"))
    publisher.close()
    ear = listen_to(broker)
    until(lambda: ear.states() and ear.valid("state"))
    assert all(r.retained for r in ear.received)
    assert set(ear.states()) == {"offline"}  # amqtt sends retained messages more than once
    assert ear.valid("state")[0]["reason"] == "no new frame for 5 s"


def test_own_topic_prefix(
    broker: MqttConfig,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker, "site/7/#")
    publisher = MqttPublisher(broker.model_copy(update={"topic_prefix": "site/7"}), context)
    publish(publisher, [0])
    publisher.close()
    until(lambda: len(ear.received) == 3)
    assert ear.received[1].topic == "site/7/device-1/camera0/poses"


def test_two_processes_of_a_device_do_not_flap(
    broker: MqttConfig,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker)
    first, second = MqttPublisher(broker, context), MqttPublisher(broker, context)
    until(lambda: first.connected and second.connected)
    for index in range(30):
        publish(first, [index])
        publish(second, [index])
        time.sleep(0.005)
    until(lambda: len(ear.frames()) == 60)
    assert ear.states() == ["online", "online"]  # neither threw the other out
    # The second one lives on and says so.
    first.close()
    until(lambda: ear.states() == ["online", "online", "offline", "online"])
    second.close()
    until(lambda: ear.states()[-1] == "offline")


def test_last_will_of_a_killed_process(
    broker: MqttConfig,
    context: MessageContext,
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker)
    code = (
        "import sys, time\n"
        "from edge_pose.config import MqttConfig\n"
        "from edge_pose.messages import MessageContext\n"
        "from edge_pose.publishers.mqtt import MqttPublisher\n"
        "context = MessageContext('device-1', 'camera0', 'm', 'ab' * 32, 'mpii16', '0.1.0')\n"
        f"MqttPublisher(MqttConfig(host='{broker.host}', port={broker.port}), context)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: ear.states() == ["online"])
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: ear.states() == ["online", "offline"])
    late = listen_to(broker)
    until(lambda: late.received)
    assert late.received[0].retained
    assert set(late.states()) == {"offline"}


def test_without_a_broker_poses_go_on_and_drops_are_counted(
    context: MessageContext,
    publish: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = MqttConfig(host="127.0.0.1", port=1, queue_size=10)
    caplog.set_level("INFO")
    publisher = MqttPublisher(config, context, backoff_s=FAST)
    publisher.state(state_message(context, "running"))
    publish(publisher, range(50))
    time.sleep(0.5)  # several attempts
    assert publisher.dropped == 40
    assert not publisher.connected
    assert publisher.close() == publisher.close()
    report = publisher.close()
    assert (report.sent, report.dropped) == (0, 50)
    lines = [r.getMessage() for r in caplog.records]
    assert len([line for line in lines if "not reachable (Connection refused)" in line]) == 1
    assert lines[1:] == ["MQTT broker 127.0.0.1:1: 50 of 50 pose messages were not sent"]


@pytest.mark.timeout(60)  # and not 100 times 1 s
def test_a_blocking_run_without_a_broker_is_held_up_once(
    context: MessageContext, publish: Callable[..., None]
) -> None:
    config = MqttConfig(host="127.0.0.1", port=1, queue_size=1)
    publisher = MqttPublisher(config, context, block_s=1, backoff_s=FAST)
    publish(publisher, range(100))
    assert publisher.close().dropped == 100


def test_broker_killed_and_restarted(
    mosquitto: Callable[..., Any],
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = mosquitto()
    config = MqttConfig(host=process.host, port=process.port, queue_size=5)
    caplog.set_level("INFO", "edge_pose.publishers.mqtt")
    publisher = MqttPublisher(config, context, backoff_s=FAST)
    publisher.state(state_message(context, "running"))
    publish(publisher, range(10), pause_s=0.01)
    until(lambda: publisher.sent == 10)
    process.kill()
    until(lambda: not publisher.connected)
    publish(publisher, range(10, 30))
    time.sleep(0.5)
    process.start()
    ear = listen_to(config)
    until(lambda: publisher.sent == 15)  # the five that were kept
    publish(publisher, range(30, 33), pause_s=0.02)
    until(lambda: 32 in ear.frames())
    report = publisher.close()
    assert report.sent + report.dropped == 33
    assert report.dropped == 15  # 20 came while the broker was away, the newest 5 were kept
    assert ear.frames() == sorted(set(ear.frames()))
    assert [m["state"] for m in ear.valid("state")] == ["running"]  # repeated to the new broker
    lines = [r.getMessage() for r in caplog.records if r.name == "edge_pose.publishers.mqtt"]
    assert "connected" in lines[0]
    assert "connection lost" in lines[1]
    assert "connected again after" in lines[2]
    assert "15 pose messages dropped meanwhile" in lines[2]
    assert lines[3:] == [
        f"MQTT broker 127.0.0.1:{process.port}: 15 of 33 pose messages were not sent"
    ]


def test_unacknowledged_messages_are_repeated(
    mosquitto: Callable[..., Any],
    context: MessageContext,
    publish: Callable[..., None],
    until: Callable[..., None],
) -> None:
    process = mosquitto()
    config = MqttConfig(host=process.host, port=process.port, qos=1)
    publisher = MqttPublisher(config, context, backoff_s=FAST)
    until(lambda: publisher.connected)
    process.process.send_signal(signal.SIGSTOP)
    publish(publisher, range(20))
    time.sleep(0.2)
    assert publisher.sent == 0
    process.kill()
    process.start()
    until(lambda: publisher.sent == 20)
    report = publisher.close()
    assert (report.sent, report.dropped) == (20, 0)


@pytest.mark.timeout(60)
def test_a_stalled_broker_does_not_stop_the_frame_loop(
    mosquitto: Callable[..., Any],
    context: MessageContext,
    publish: Callable[..., None],
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = mosquitto()
    config = MqttConfig(host=process.host, port=process.port, queue_size=8)
    publisher = MqttPublisher(config, context, close_s=0.3)
    until(lambda: publisher.connected)
    process.process.send_signal(signal.SIGSTOP)
    publish(publisher, range(40), pause_s=0.005, padding="x" * 1_000_000)
    until(lambda: publisher.dropped > 0)
    report = publisher.close()
    assert report.sent + report.dropped == 40
    assert report.sent > 0
    assert len([r for r in caplog.records if "slower than they come" in r.getMessage()]) == 1


def test_one_picture_and_out(
    broker: MqttConfig,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    ear = listen_to(broker)
    publisher = MqttPublisher(broker, context)
    publish(publisher, [7])
    assert publisher.close().sent == 1  # although nothing was connected yet
    until(lambda: ear.states() == ["online", "offline"])
    assert ear.frames() == [7]


def test_a_message_that_is_not_json_is_an_error_and_counted(
    broker: MqttConfig, context: MessageContext, publish: Callable[..., None]
) -> None:
    publisher = MqttPublisher(broker, context)
    with pytest.raises(PublisherError, match="cannot be written as JSON"):
        publish(publisher, [0], score=math.nan)
    publish(publisher, [1])
    report = publisher.close()
    assert (report.sent, report.dropped) == (1, 1)
    publish(publisher, [2])
    assert publisher.close().dropped == 2  # after the end nothing is sent


def test_a_server_that_does_not_speak_mqtt(
    context: MessageContext,
    publish: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    code = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\n"
        "while True:\n"
        "    client, _ = server.accept()\n"
        "    client.recv(100)\n"
        "    client.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n')\n"
        "    client.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        port = int(server.stdout.readline())
        publisher = MqttPublisher(MqttConfig(host="127.0.0.1", port=port), context, backoff_s=FAST)
        publish(publisher, [0])
        time.sleep(0.5)
        assert publisher.close().dropped == 1
        server.kill()
    assert len([r for r in caplog.records if "not reachable" in r.getMessage()]) == 1


def test_a_broker_that_throws_the_client_out_is_asked_less_and_less(
    context: MessageContext,
) -> None:
    accepted_s = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = MqttConfig(host="127.0.0.1", port=server.getsockname()[1])
        publisher = MqttPublisher(config, context, backoff_s=(0.05, 0.4))
        for _ in range(6):
            client, _ = server.accept()
            accepted_s.append(time.monotonic())
            client.recv(1000)
            client.sendall(b"\x20\x02\x00\x00")  # CONNACK: accepted
            client.close()
        publisher.close()
    assert accepted_s[5] - accepted_s[4] > 0.35


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"host": ""}, "mqtt.host: empty"),
        ({"password": "secret"}, "without mqtt.username"),
        ({"username": "u", "password_file": "missing"}, "missing: cannot be read"),
        ({"tls": True, "ca_file": "missing"}, "missing: cannot be read"),
        ({"tls": True, "ca_file": __file__}, "no PEM certificate"),
    ],
)
def test_configuration_that_cannot_be_used(
    values: dict[str, object], problem: str, context: MessageContext
) -> None:
    config = MqttConfig.model_validate({"host": "127.0.0.1", **values})
    with pytest.raises(PublisherError, match=problem) as caught:
        MqttPublisher(config, context)
    assert "secret" not in str(caught.value)


def test_messages_are_compact_json(
    broker: MqttConfig,
    context: MessageContext,
    make_result: Callable[..., FrameResult],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    result = make_result(persons=1)
    message = poses_message(result, context)
    ear = listen_to(broker)
    publisher = MqttPublisher(broker, context)
    publisher.poses(result, message)
    publisher.close()
    until(lambda: ear.frames())
    assert ear.valid("poses")[0] == json.loads(json.dumps(message))
