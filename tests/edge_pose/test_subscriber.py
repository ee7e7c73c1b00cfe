"""The listener, in process and as a command, against the embedded broker."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

from edge_pose.broker import BrokerAddress, embedded_broker, free_port
from edge_pose.cli import cli
from edge_pose.command_line import run_command
from edge_pose.config import MqttConfig
from edge_pose.errors import UsageError
from edge_pose.listen_tally import RATE_WINDOW_S, CameraTally, Tally
from edge_pose.messages import (
    MessageContext,
    encode,
    poses_message,
    state_message,
    status_message,
)
from edge_pose.mqtt_link import MqttLink
from edge_pose.publishers.mqtt import MqttPublisher
from edge_pose.subscriber import Subscriber, examine
from edge_pose.types import Frame, FrameResult, Pose

CONTEXT = MessageContext("device-1", "camera0", "m", "ab" * 32, "mpii16", "0.1.0")


def result(index: int) -> FrameResult:
    frame = Frame(np.zeros((48, 64, 3), np.uint8), index, datetime.now(timezone.utc), 0.0)
    scores = np.full(16, 0.75, np.float32)
    box = np.array([0, 0, 5, 5], np.float32)
    person = Pose(np.ones((16, 2), np.float32), scores, box, 0.75, 1)
    return FrameResult(frame, (person,), {}, 0.02, 0)


@pytest.fixture
def broker() -> Iterator[BrokerAddress]:
    with embedded_broker() as address:
        yield address


def config_of(address: BrokerAddress) -> MqttConfig:
    return MqttConfig(host=address.host, port=address.port)


@contextlib.contextmanager
def in_background(action: Callable[[], object]) -> Iterator[None]:
    """Run an action again and again until the block ends."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.05):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def publishing(address: BrokerAddress) -> Iterator[None]:
    """A camera that publishes about 20 frames per second."""
    publisher = MqttPublisher(config_of(address), CONTEXT)
    publisher.state(state_message(CONTEXT, "running"))
    numbers = iter(range(1_000_000))

    def publish() -> None:
        current = result(next(numbers))
        publisher.poses(current, poses_message(current, CONTEXT))

    with in_background(publish):
        yield
    publisher.close()


@contextlib.contextmanager
def repeating(address: BrokerAddress, *messages: tuple[str, bytes]) -> Iterator[None]:
    """A stranger that publishes the same payloads again and again."""
    link = MqttLink(config_of(address))
    link.open()

    def publish() -> None:
        for topic, payload in messages:
            link.publish(topic, payload)
        link.step(0.01)

    with in_background(publish):
        yield
    link.close()


class Done(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Done:
    """Run `edge-pose listen` as its console script does."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["edge-pose", "listen", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        run_command(cli, "edge-pose")
    return Done(ended.value.code, out.getvalue(), err.getvalue())


def test_messages_of_the_filter(broker: BrokerAddress) -> None:
    with publishing(broker), Subscriber(config_of(broker), ["edge_pose/+/+/poses"]) as subscriber:
        # The broker sends retained messages of other topics, too, when a filter has wildcards.
        several = [one for _ in range(8) if (one := subscriber.receive(20)) is not None]
    received = [one for one in several if not one.retained]
    assert {one.topic for one in received} == {"edge_pose/device-1/camera0/poses"}
    frames = [one.message["frame"] for one in received]
    # A publisher on a busy machine drops frames rather than to wait, so that some may be missing.
    assert len(frames) >= 5
    assert frames == sorted(set(frames))
    assert all(one.problem is None for one in received)


def test_nothing_comes(broker: BrokerAddress) -> None:
    with Subscriber(config_of(broker), ["edge_pose/#"]) as subscriber:
        assert subscriber.receive(0.3) is None
        assert subscriber.problem is None


def test_why_nobody_is_reached() -> None:
    config = MqttConfig(host="127.0.0.1", port=free_port())
    with Subscriber(config, ["edge_pose/#"]) as subscriber:
        assert subscriber.receive(0.3) is None
        assert not subscriber.ever_connected
        assert subscriber.problem == "Connection refused"


def test_wrong_filter() -> None:
    with pytest.raises(UsageError, match="topic filter"):
        Subscriber(MqttConfig(host="127.0.0.1"), ["a/#/b"])


def test_the_subscriber_comes_back_with_one_line_each_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge_pose.subscriber")
    with embedded_broker() as address:
        subscriber = Subscriber(config_of(address), ["edge_pose/#"])
        while not subscriber.listening:
            assert subscriber.receive(0.05) is None
    deadline_s = time.monotonic() + 1.2  # more than one attempt
    while time.monotonic() < deadline_s:
        assert subscriber.receive(0.1) is None
    with embedded_broker(address.port), publishing(address), subscriber:
        while subscriber.receive(0.1) is None:
            pass
    lines = [r.getMessage() for r in caplog.records if r.name == "edge_pose.subscriber"]
    assert len(lines) == 2
    assert "connection lost" in lines[0]
    assert "connected" in lines[1]


def test_examine() -> None:
    status = encode(status_message(CONTEXT, "online"))
    good = examine("edge_pose/device-1/status", status, retained=True)
    assert (good.problem, good.message["state"], good.retained) == (None, "online", True)
    wrong = examine("edge_pose/device-1/camera0/poses", status)
    assert wrong.message is None
    assert wrong.problem == "edge_pose.status/1: found on a topic that ends in /poses"
    assert examine("a/status", b"{").problem.startswith("message: not valid JSON")


def test_a_plug_is_no_camera() -> None:
    tally = Tally()
    plug = b'{"schema": "edge_pose.power/1", "watts": 23.4}'
    tally.add(examine("edge_pose/device-1/power", plug), 0.0)
    assert (tally.messages, tally.invalid, tally.cameras) == (1, 0, {})


def test_json_lines_until_a_count(broker: BrokerAddress, tmp_path: Path) -> None:
    summary = tmp_path / "new" / "summary.json"
    with publishing(broker):
        done = run(broker.url, "--json", "--count", "4", "--summary-json", str(summary))
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line["valid"] is True for line in lines)
    poses = [line["message"] for line in lines if line["topic"].endswith("/poses")]
    assert len(poses) == 4
    assert "4 of them poses of 1 camera, 0 invalid" in done.stderr
    counts = json.loads(summary.read_text())
    assert counts["poses"] == 4
    assert counts["invalid"] == 0
    assert counts["messages"] == len(lines)
    assert counts["cameras"]["device-1/camera0"] == {
        "poses": 4,
        "min_frame": poses[0]["frame"],
        "max_frame": poses[3]["frame"],
        "max_persons": 1,
        "state": "running",
    }
    assert counts["devices"] == {"device-1": "online"}


def test_lines_for_people(broker: BrokerAddress) -> None:
    with publishing(broker):
        done = run(broker.url, "--count", "20")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "device-1: online" in lines
    assert "device-1/camera0: running" in lines
    shown = [line for line in lines if "frame" in line]
    assert 1 <= len(shown) < 20  # not every message
    assert "persons 1, best score 0.75, latency 20.0 ms" in shown[-1]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_invalid_messages_are_shown_and_fail_the_command(
    broker: BrokerAddress, flags: list[str]
) -> None:
    strange = (
        ("edge_pose/x/y/poses", b'{"schema":"edge_pose.poses/2"}'),
        ("edge_pose/x/status", b"\x1b[31mnot json"),
        ("edge_pose/x/y/set/paused", b"on"),  # control: no schema
        ("edge_pose/x/y/state", b""),  # deletes a retained message
    )
    with repeating(broker, *strange), publishing(broker):
        done = run(broker.url, "--count", "10", *flags)
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    if flags:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = [line for line in lines if not line["valid"]]
        assert {line["topic"] for line in wrong} == {"edge_pose/x/y/poses", "edge_pose/x/status"}
        errors = {line["topic"]: line["error"] for line in wrong}
        assert "unknown schema" in errors["edge_pose/x/y/poses"]
    else:
        assert 'edge_pose/x/y/poses: INVALID: message: unknown schema "edge_pose.poses/2"' in (
            done.stdout
        )
        assert "set/paused" not in done.stdout


def test_until_offline_ignores_what_was_retained(broker: BrokerAddress) -> None:
    MqttPublisher(config_of(broker), CONTEXT).close()  # leaves a retained "offline"
    camera = threading.Timer(0.5, lambda: publish_once(broker))
    camera.start()
    done = run(broker.url, "--until-offline", "--timeout", "30")
    camera.join()
    assert done.exit_code == 0, done.stderr
    assert "1 of them poses" in done.stderr
    assert done.stdout.splitlines()[-1] == "device-1: offline"


def publish_once(broker: BrokerAddress) -> None:
    publisher = MqttPublisher(config_of(broker), CONTEXT)
    current = result(0)
    publisher.poses(current, poses_message(current, CONTEXT))
    publisher.close()


def test_what_was_asked_for_does_not_come(broker: BrokerAddress) -> None:
    done = run(broker.url, "--count", "3", "--timeout", "0.5")
    assert done.exit_code == 1
    listening, error = done.stderr.splitlines()
    assert listening.startswith("listening to 127.0.0.1:")
    assert error == "edge-pose: 0 of 3 pose messages arrived in 0.5 s"
    done = run(broker.url, "--until-offline", "--timeout", "0.3")
    assert done.exit_code == 1
    assert "no device went offline" in done.stderr
    assert run(broker.url, "--timeout", "0.3").exit_code == 0  # only watched


def test_nobody_there(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    where = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "edge_pose", "listen", f"mqtt://{where}", "--timeout", "0.5"]
    done = subprocess.run(
        [*command, "--summary-json", str(summary)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"edge-pose: MQTT broker {where}: not reachable within 0.5 s (Connection refused)\n"
    )
    assert json.loads(summary.read_text())["messages"] == 0


def test_without_a_time_limit_one_line_says_that_it_waits() -> None:
    where = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "edge_pose", "listen", f"mqtt://{where}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        time.sleep(1)  # some attempts more
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert line == f"MQTT broker {where}: not reachable (Connection refused); trying again\n"
    assert rest == "0 messages, 0 of them poses of 0 cameras, 0 invalid\n"
    assert process.returncode == 0


def test_refused_by_the_broker_and_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_broker(users={"camera": "geheim"}) as address:
        url = f"mqtt://camera@127.0.0.1:{address.port}"
        done = run(url.replace("camera@", "camera:wrong-one@"), "--timeout", "30")
        assert done.exit_code == 1
        assert "refused: " in done.stderr
        assert "wrong-one" not in done.stdout + done.stderr
        monkeypatch.setenv("EDGE_POSE_MQTT__PASSWORD", "geheim")
        assert run(url, "--timeout", "0.5").exit_code == 0


def test_usage() -> None:
    for arguments in (["http://broker"], ["mqtt://broker", "--count", "0"]):
        assert run(*arguments).exit_code == 2
    assert "mqtt://[user[:password]@]host" in run("--help").stdout


def test_summary_that_cannot_be_written(broker: BrokerAddress) -> None:
    done = run(broker.url, "--timeout", "0.2", "--summary-json", "/proc/summary.json")
    assert done.exit_code == 1
    assert "/proc/summary.json: cannot be written" in done.stderr


def test_arrivals_are_forgotten_when_nobody_asks_for_the_rate() -> None:
    camera = CameraTally()
    for number in range(10_000):
        camera.add({"frame": number, "poses": [], "latency_ms": 1.0}, number / 30)
    assert len(camera.arrivals_s) <= 30 * RATE_WINDOW_S + 2
    assert camera.poses == 10_000
    assert camera.rate_hz(9_999 / 30) == pytest.approx(30)


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_is_a_clean_end(broker: BrokerAddress, terminal: bool, tmp_path: Path) -> None:
    output = tmp_path / "output"
    ours, theirs = os.openpty() if terminal else (None, None)
    with publishing(broker), output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "edge_pose", "listen", broker.url],
            stdout=theirs if terminal else file,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        )
        shown = ""
        deadline_s = time.monotonic() + 30
        while "device-1/camera0" not in shown and time.monotonic() < deadline_s:
            shown += os.read(ours, 10_000).decode() if terminal else output.read_text()
            time.sleep(0.02)
        time.sleep(0.5)  # what came first were retained messages, from before there were poses
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    if terminal:
        os.close(ours)
        os.close(theirs)
    assert "device-1/camera0" in shown
    assert process.returncode == 0, errors
    first, last = errors.splitlines()
    assert first.startswith("listening to 127.0.0.1:")
    assert "poses of 1 camera, 0 invalid" in last
