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

import pytest

from benchmarks.environment import Environment
from benchmarks.fleet import run
from benchmarks.fleet.mosquitto import Mosquitto
from benchmarks.fleet.report import FleetReport, FleetSettings
from benchmarks.fleet.run import fleet_benchmark
from benchmarks.read_report import parse_report
from edge_pose.broker import HOST
from edge_pose.errors import EdgePoseError

PUBLISH, SUBSCRIBE = 3, 8  # packet types, MQTT 3.1.1, section 2.2.1


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
def measure(environment: Environment, message: dict[str, Any]) -> Callable[..., FleetReport]:
    def call(broker: str | None = None, on_start: Any = lambda _: None, **changes: Any) -> Any:
        asked = settings(**changes)
        return fleet_benchmark(asked, broker, lambda: [message], environment, on_start=on_start)

    return call


@pytest.mark.usefixtures("_mosquitto")
def test_counts_add_up_and_the_report_is_read_again(
    measure: Callable[..., FleetReport],
    message: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "FLAT_OUT_S", 0.3)
    report = measure(qos=(0, 1), measured_s=1.0, warm_up_s=0.4, workers=2, receivers=2)
    assert [level.case.qos for level in report.levels] == [0, 1]
    for level in report.levels:
        (done,) = level.rounds
        assert done.due == 3 * 15
        assert done.sent + done.unsent == done.due
        assert done.sent > 0
        assert done.received + done.lost == done.sent
        assert (done.lost, done.duplicates, done.unknown, done.connection_losses) == (0, 0, 0, 0)
        assert done.problems == ()
        assert done.acknowledged == level.case.qos * (done.sent + 3 * 6)
        assert done.delay_ms is not None
        assert 0 < done.delay_ms["p50"] <= done.delay_ms["p95"] <= done.delay_ms["max"]
        assert done.payload_bytes > len(json.dumps(message, separators=(",", ":"))) - 10
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
    dropped: list[int] = []

    def drop(packet: bytes) -> bool:
        frame = int(packet.partition(b'"frame":')[2].partition(b",")[0])
        if b'"device":"fleet-1"' not in packet or frame % 5 != 0:
            return False
        dropped.append(frame)
        return True

    report = measure(through(drop=drop).url)
    (done,) = report.levels[0].rounds
    assert not report.broker.own
    assert report.headroom is None
    assert done.broker_cpu_percent is None
    lost = len(dropped)  # 6 of 90 where the machine has time for all of them
    assert lost > 0
    assert (done.lost, done.worst_device_lost, done.devices_with_loss) == (lost, lost, 1)
    assert report.levels[0].loss_percent.median == pytest.approx(100 * lost / done.sent)


def test_planted_delay_is_what_is_reported(
    measure: Callable[..., FleetReport], through: Callable[..., Proxy]
) -> None:
    done = measure(through(delay_s=1.0).url, measured_s=1.5).levels[0].rounds[0]
    assert done.lost == 0
    assert done.delay_ms is not None
    assert done.lateness_ms is not None
    assert done.delay_ms["p50"] >= 1000
    # The delay is on the way: none of it is the fleet's own, however busy this machine is.
    assert done.lateness_ms["p50"] <= done.delay_ms["p50"] - 500


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
