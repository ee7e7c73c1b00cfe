"""The fleet with a real mosquitto: what is planted on the way is what is reported."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.companion import Companion
from benchmarks.environment import Environment
from benchmarks.fleet import mosquitto, run
from benchmarks.fleet.mosquitto import Mosquitto, find_mosquitto
from benchmarks.fleet.pose_messages import PoseMessages, read_messages, record_messages, with_people
from benchmarks.fleet.process_usage import cpu_s, memory_kib
from benchmarks.fleet.reckoning import Arrivals, percentiles_ms, reckon
from benchmarks.fleet.report import Case, FleetReport, FleetRound, FleetSettings, Headroom, limits
from benchmarks.fleet.run import fleet_benchmark
from benchmarks.fleet.schedule import Schedule
from benchmarks.read_report import parse_report
from edge_pose.broker import HOST, free_port
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.samples import TWO_PEOPLE
from edge_pose.schemas import validate_message

PUBLISH, SUBSCRIBE = 3, 8  # packet types, MQTT 3.1.1, section 2.2.1
POSE = {"id": 1, "score": 0.9, "bbox": [1.0, 2.0, 3.0, 4.0], "keypoints": [[1.0, 2.0, 0.5]] * 16}
MESSAGE = {
    "schema": "edge_pose.poses/1",
    "device": "anyone",
    "camera": "camera0",
    "frame": 0,
    "captured_at": "2026-11-20T08:00:00.000Z",
    "latency_ms": 12.5,
    "image": {"width": 640, "height": 480},
    "keypoint_format": "mpii16",
    "model": {"name": "blobs", "sha256": "ab" * 32},
    "dropped": 0,
    "poses": [POSE],
}


@pytest.fixture
def _mosquitto() -> None:
    if find_mosquitto() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed, and CI must run these tests")
        pytest.skip("mosquitto is not installed")


class Proxy:
    """A network between clients and a broker that drops, delays and breaks what it is told to.

    Args:
        port: of the broker.
        drop: tells of a PUBLISH packet that a client sends if it gets lost.
        delay_s: that clients' packets are under way.
    """

    def __init__(
        self,
        port: int,
        drop: Callable[[bytes], bool] = lambda _: False,
        delay_s: float = 0.0,
    ) -> None:
        self._port, self._drop, self._delay_s = port, drop, delay_s
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        self.url = f"mqtt://{HOST}:{self.port}"
        self._sockets: list[socket.socket] = []
        self._subscribers: list[socket.socket] = []
        self._start(self._accept)

    def close(self) -> None:
        for one in (self._server, *self._sockets):
            _shut(one)

    def cut_subscribers(self) -> None:
        """Break the connections of those who have subscribed to something."""
        for one in self._subscribers[:]:
            _shut(one)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            broker = socket.create_connection((HOST, self._port))
            self._sockets += [client, broker]
            waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
            self._start(self._take, client, waiting)
            self._start(self._pass_on, waiting, broker)
            self._start(self._back, broker, client)

    def _take(self, client: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with client.makefile("rb") as stream:
            while packet := _read_packet(stream):
                if packet[0] >> 4 == SUBSCRIBE:
                    self._subscribers.append(client)
                if packet[0] >> 4 == PUBLISH and self._drop(packet):
                    continue
                waiting.put((time.monotonic() + self._delay_s, packet))
        waiting.put((0.0, b""))

    def _pass_on(self, waiting: queue.Queue[tuple[float, bytes]], broker: socket.socket) -> None:
        while True:
            moment_s, packet = waiting.get()
            if not packet:
                _shut(broker)
                return
            time.sleep(max(moment_s - time.monotonic(), 0.0))
            try:
                broker.sendall(packet)
            except OSError:
                return

    def _back(self, broker: socket.socket, client: socket.socket) -> None:
        try:
            while data := broker.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        _shut(client)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def _read_packet(stream: Any) -> bytes:
    """Return the next MQTT packet (fixed header with its variable length, and the rest)."""
    try:
        head = stream.read(1)
        length = shift = 0
        while head:
            digit = stream.read(1)
            head += digit
            length |= (digit[0] & 0x7F) << shift
            shift += 7
            if not digit[0] & 0x80:
                return bytes(head + stream.read(length))
    except (OSError, ValueError, IndexError):
        pass
    return b""


@pytest.fixture
def through(_mosquitto: None, tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Return a function that puts a Proxy before a broker."""
    proxies: list[Proxy] = []
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as broker:

        def make(**options: Any) -> Proxy:
            proxies.append(Proxy(broker.port, **options))
            return proxies[-1]

        yield make
        for proxy in proxies:
            proxy.close()


def settings(**changes: Any) -> FleetSettings:
    values = {
        "devices": (3,),
        "rate_hz": 15.0,
        "qos": (0,),
        "people": (1,),
        "measured_s": 2.0,
        "warm_up_s": 0.0,
        "rounds": 1,
        "workers": 1,
        "receivers": 1,
        **changes,
    }
    return FleetSettings.model_validate(values)


@pytest.fixture
def measure(environment: Environment) -> Callable[..., FleetReport]:
    def call(broker: str | None = None, on_start: Any = lambda _: None, **changes: Any) -> Any:
        def messages() -> list[dict[str, Any]]:
            return [MESSAGE]

        asked = settings(**changes)
        return fleet_benchmark(asked, broker, messages, environment, on_start=on_start)

    return call


@pytest.mark.usefixtures("_mosquitto")
def test_counts_add_up_and_the_report_is_read_again(
    measure: Callable[..., FleetReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FLAT_OUT_S", 0.3)
    report = measure(qos=(0, 1), measured_s=1.0, warm_up_s=0.4, workers=2, receivers=2)
    assert [level.case.qos for level in report.levels] == [0, 1]
    for level in report.levels:
        (done,) = level.rounds
        assert done.due == 3 * 15
        assert done.sent + done.unsent == done.due
        assert done.received + done.lost == done.sent > 0
        assert (done.lost, done.duplicates, done.unknown, done.connection_losses) == (0, 0, 0, 0)
        assert done.problems == ()
        assert done.acknowledged == level.case.qos * (done.sent + 3 * 6)
        assert done.delay_ms is not None
        assert 0 < done.delay_ms["p50"] <= done.delay_ms["p95"] <= done.delay_ms["max"]
        assert done.payload_bytes > len(json.dumps(MESSAGE, separators=(",", ":"))) - 10
        assert done.broker_cpu_percent is not None
        assert done.broker_kib_connected is not None
    assert report.broker.own
    assert report.headroom is not None
    assert report.headroom.sent_hz > 0
    again = parse_report(json.loads(report.model_dump_json(by_alias=True)), "here")
    assert again == report


def test_planted_loss_is_what_is_reported(
    measure: Callable[..., FleetReport], through: Callable[..., Proxy]
) -> None:
    def drop(packet: bytes) -> bool:
        frame = int(packet.partition(b'"frame":')[2].partition(b",")[0])
        return b'"device":"fleet-1"' in packet and frame % 5 == 0

    report = measure(through(drop=drop).url)
    (done,) = report.levels[0].rounds
    assert not report.broker.own
    assert report.headroom is None
    assert done.broker_cpu_percent is None
    assert done.unsent == 0
    assert (done.lost, done.worst_device_lost, done.devices_with_loss) == (6, 6, 1)
    assert report.levels[0].loss_percent.median == pytest.approx(100 * 6 / 90)


def test_planted_delay_is_what_is_reported(
    measure: Callable[..., FleetReport], through: Callable[..., Proxy]
) -> None:
    done = measure(through(delay_s=0.5).url, measured_s=1.5).levels[0].rounds[0]
    assert done.lost == 0
    assert done.delay_ms is not None
    assert done.lateness_ms is not None
    assert 500 <= done.delay_ms["p50"] < 900
    assert done.lateness_ms["p50"] < 400  # the delay is on the way, the fleet kept its schedule


def test_a_subscriber_whose_connection_breaks_has_lost_messages(
    measure: Callable[..., FleetReport], through: Callable[..., Proxy]
) -> None:
    proxy = through()

    def cut_soon(_: Sequence[int]) -> None:
        threading.Timer(1.0, proxy.cut_subscribers).start()

    done = measure(proxy.url, on_start=cut_soon, measured_s=2.5).levels[0].rounds[0]
    assert done.connection_losses == 1
    assert 0 < done.lost < done.sent
    assert done.devices_with_loss == 3
    assert done.received + done.lost == done.sent


def test_a_subscriber_that_is_killed_is_one_line(
    measure: Callable[..., FleetReport], through: Callable[..., Proxy]
) -> None:
    def kill(pids: Sequence[int]) -> None:
        os.kill(pids[0], signal.SIGKILL)

    with pytest.raises(EdgePoseError, match="fleet: receiver: ended with -9, it said: nothing"):
        measure(through().url, on_start=kill, measured_s=0.5)


@pytest.mark.usefixtures("_mosquitto")
def test_a_fleet_that_is_asked_for_too_much_says_so(
    measure: Callable[..., FleetReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FLAT_OUT_S", 0.3)
    level = measure(devices=(2,), rate_hz=1e5, measured_s=0.3).levels[0]
    assert level.rounds[0].unsent > 0
    assert any("not sent in time" in reason for reason in level.limited_by)
    assert any("can be sent here at most" in reason for reason in level.limited_by)


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


def test_reckoning_by_hand() -> None:
    due_s = np.array([[0.0, 1.0, 2.0, 3.0], [0.5, 1.5, 2.5, 3.5]])
    sent_s = due_s + 0.1
    sent_s[1, 3] = np.nan  # not sent
    pairs = [
        (0, 0, 0.3),  # warm-up
        (0, 1, 1.2),
        (0, 1, 9.9),  # again
        (0, 2, 2.6),
        (1, 1, 1.7),
        (1, 2, 2.7),
        (1, 3, 3.8),  # nobody sent this one
        (2, 1, 1.0),  # nobody is device 2
    ]
    devices, frames, arrived_s = zip(*pairs, strict=True)
    arrivals = Arrivals(np.array(devices), np.array(frames), np.array(arrived_s))
    found = reckon(due_s, sent_s, arrivals, warm_up_frames=1)
    assert (found.due, found.sent, found.received, found.lost, found.unsent) == (6, 5, 4, 1, 1)
    assert (found.duplicates, found.unknown) == (1, 2)
    assert (found.devices_with_loss, found.worst_device_lost) == (1, 1)
    assert sorted(found.delay_s.tolist()) == pytest.approx([0.1, 0.1, 0.1, 0.5])
    assert found.lateness_s.tolist() == pytest.approx([0.1] * 5)


def test_percentiles() -> None:
    assert percentiles_ms(np.array([])) is None
    found = percentiles_ms(np.arange(101) / 1000)
    assert found == pytest.approx({"p50": 50, "p95": 95, "p99": 99, "max": 100})


def test_a_schedule_is_steady_and_out_of_step() -> None:
    schedule = Schedule(5, 10.0, 1.0, 2.0, "prefix/run", groups=2)
    due_s = schedule.due_s()
    assert due_s.shape == (5, 30)
    assert np.diff(due_s, axis=1) == pytest.approx(0.1)
    assert len(np.unique(due_s[:, 0])) == 5
    assert 0 <= due_s.min() < due_s.max() < schedule.duration_s
    assert schedule.warm_up_frames == 10
    assert schedule.topic(3, "camera0") == "prefix/run/1/fleet-3/camera0/poses"
    assert schedule.topic_filter(1) == "prefix/run/1/#"


def test_messages_are_real_poses_and_keep_the_contract() -> None:
    messages = record_messages(str(TWO_PEOPLE))
    assert any(message["poses"] for message in messages)
    three = PoseMessages(with_people(messages, 3))
    sizes = []
    for frame in (0, 7, 41):
        payload = three.payload("fleet-12", frame)
        message = validate_message(payload)
        assert (message["device"], message["frame"]) == ("fleet-12", frame)
        assert [pose["id"] for pose in message["poses"]] == [1, 2, 3]
        sizes.append(len(payload))
    nobody = PoseMessages(with_people(messages, 0)).payload("fleet-12", 0)
    assert validate_message(nobody)["poses"] == []
    assert len(nobody) < min(sizes)


def test_usage_of_a_process(tmp_path: Path) -> None:
    folder = tmp_path / "17"
    folder.mkdir()
    before = " ".join(["S", *map(str, range(4, 14))])
    (folder / "stat").write_text(f"17 (a) b (c) {before} 250 150 0 0")
    (folder / "status").write_text("Name:\tx\nVmRSS:\t    5124 kB\n")
    assert cpu_s(17, tmp_path) == pytest.approx(400 / os.sysconf("SC_CLK_TCK"))
    assert memory_kib(17, tmp_path) == 5124
    assert (cpu_s(18, tmp_path), memory_kib(18, tmp_path)) == (None, None)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("benchmarks.no_such_module", r"test: ended with 1, it said: .*No module named"),
        ("benchmarks.fleet.receiver", "test: broker address: expected mqtt://"),
    ],
)
def test_a_companion_that_fails_is_one_line(module: str, message: str) -> None:
    task = {"broker": "nonsense", "topic_filter": "#", "file": "none"}
    with Companion(module, task, "test") as one, pytest.raises(EdgePoseError, match=message):
        one.answer()


QUICK = ("fleet", "--devices", 2, "--seconds", 0.5, "--warm-up", 0, "--rounds", 1, "--qos", 0)


@pytest.mark.usefixtures("_mosquitto")
def test_the_command(
    bench: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(run, "FLAT_OUT_S", 0.2)
    file = tmp_path / "poses.jsonl"
    file.write_text(json.dumps(MESSAGE) + "\n")
    code, out, err = bench(*QUICK, "--poses", file, "--people", 2, "--json")
    assert code == 0
    assert "round 1 of 1: 2 devices, QoS 0:" in err
    report = tmp_path / "report.json"
    report.write_text(out)
    code, out, _ = bench("show", report)
    assert code == 0
    assert "15 messages per second and device" in out
    assert "mosquitto 2" in out


def test_no_mosquitto_and_no_broker(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mosquitto, "SBIN", ())
    line = errors(*QUICK)
    assert "mosquitto is not installed" in line
    assert "--broker mqtt://host" in line


def test_an_unreachable_broker(errors: Callable[..., str]) -> None:
    port = free_port()
    line = errors(*QUICK, "--broker", f"mqtt://127.0.0.1:{port}")
    assert line == f"edge-pose-bench: MQTT broker 127.0.0.1:{port}: Connection refused"


def test_a_broker_address_that_is_none(errors: Callable[..., str]) -> None:
    assert "broker address" in errors(*QUICK, "--broker", "somewhere")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--devices", 0), ("--rate", 0), ("--qos", 2), ("--rounds", 0)],
)
def test_numbers_out_of_range(option: str, value: object, errors: Callable[..., str]) -> None:
    assert option in errors("fleet", option, value)


def test_a_rate_that_is_no_number(errors: Callable[..., str]) -> None:
    assert "rate_hz" in errors("fleet", "--rate", "nan")


def test_messages_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "poses.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        read_messages(file)
    file.write_text(json.dumps({**MESSAGE, "frame": -1}) + "\n")
    with pytest.raises(UsageError, match=r"line 1: edge_pose\.poses/1: frame"):
        read_messages(file)
    file.write_text("")
    with pytest.raises(UsageError, match="holds no message"):
        read_messages(file)
    with pytest.raises(UsageError, match="nobody is in"):
        with_people([{**MESSAGE, "poses": []}], 1)
