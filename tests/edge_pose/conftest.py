"""A real broker and somebody who listens to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.broker import BrokerAddress, embedded_broker, free_port
from edge_pose.config import MqttConfig
from edge_pose.subscriber import Received, Subscriber
from edge_pose.types import FloatArray

HOST = "127.0.0.1"


@pytest.fixture(scope="session")
def _cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache_home")


@pytest.fixture(autouse=True)
def _nothing_is_kept_at_home(monkeypatch: pytest.MonkeyPatch, _cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(_cache_home))


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


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Poll until the condition holds; fail when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "condition not met in time"
        time.sleep(0.01)


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_for


class Mosquitto:
    """A mosquitto process on its own port; it can be killed and started again."""

    def __init__(self, folder: Path, users: dict[str, str], tls: dict[str, Path] | None) -> None:
        self.host = HOST
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        lines = [f"listener {self.port} {HOST}", "user root", "persistence false"]
        if users:
            file = folder / "users"
            file.touch(mode=0o600)
            for name, password in users.items():
                subprocess.run(["mosquitto_passwd", "-b", file, name, password], check=True)
            lines += ["allow_anonymous false", f"password_file {file}"]
        else:
            lines += ["allow_anonymous true"]
        if tls:
            lines += [f"certfile {tls['certificate']}", f"keyfile {tls['key']}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = ["mosquitto", "-c", str(self._config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._listens)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def mosquitto(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Mosquitto]]:
    """Start mosquitto: `mosquitto(users={"name": "password"}, tls={"certificate", "key"})`."""
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if shutil.which("mosquitto") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed, and CI must run these tests")
        pytest.skip("mosquitto is not installed")
    started: list[Mosquitto] = []

    def start(users: dict[str, str] | None = None, tls: dict[str, Path] | None = None) -> Mosquitto:
        started.append(Mosquitto(tmp_path_factory.mktemp("mosquitto"), users or {}, tls))
        return started[-1]

    yield start
    for broker in started:
        broker.kill()


INPUT_PX, STRIDE = 64, 4  # of all tiny networks
GAIN = 1.25  # as in the tiny top-down network
COLOR_OF = np.array([0] * 5 + [1] * 6 + [2] * 5)  # keypoint -> red, green, blue


def _graph_bytes(
    onnx: ModuleType, nodes: list[Any], sides: dict[str, list[int]], **weights: Any
) -> bytes:
    """Return an ONNX model of the tiny networks' input and the named outputs."""
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "blobs",
        [helper.make_tensor_value_info("image", kinds.FLOAT, [1, 3, INPUT_PX, INPUT_PX])],
        [helper.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in sides.items()],
        [onnx.numpy_helper.from_array(np.asarray(w, np.float32), n) for n, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _color_weights(colors: NDArray[np.int64]) -> FloatArray:
    weights = np.full((len(colors), 3, 1, 1), -0.5 * GAIN, np.float32)
    weights[np.arange(len(colors)), colors, 0, 0] = GAIN
    return weights


@pytest.fixture(scope="session")
def crowd_artifact(write_artifact: Callable[..., Path], need: Callable[[str], ModuleType]) -> Path:
    """A bottom-up artifact: the same blobs; people of the input's left and right half differ."""
    onnx = need("onnx")
    node, side = onnx.helper.make_node, INPUT_PX // STRIDE
    tags = np.zeros((1, 16, side, side), np.float32)
    tags[..., side // 2 :] = 5
    nodes = [
        node("AveragePool", ["image"], ["fine_cells"], kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Conv", ["fine_cells", "weights"], ["fine"]),
        node("Conv", ["cells", "weights"], ["coarse"]),
        node("Concat", ["coarse", "tags"], ["both"], axis=1),
    ]
    sides = {"both": [1, 32, side, side], "fine": [1, 16, 2 * side, 2 * side]}
    model = _graph_bytes(onnx, nodes, sides, weights=_color_weights(COLOR_OF), tags=tags)
    return write_artifact(
        "crowd",
        model,
        task="bottom_up",
        decoder={"name": "associative_embedding", "kind": "gaussian", "stride": STRIDE},
        outputs=[
            {"name": name, "layout": "nkhw", "shape": shape, "dtype": "float32"}
            for name, shape in sides.items()
        ],
    )


DETECTED_PX = 24.0  # side of the tiny detector's boxes, px of its input


@pytest.fixture(scope="session")
def detector_artifact(
    write_artifact: Callable[..., Path], need: Callable[[str], ModuleType]
) -> Path:
    """A detector: every green blob is the centre of a box of 24x24 px of the input."""
    onnx = need("onnx")
    node, side = onnx.helper.make_node, INPUT_PX // STRIDE
    box = np.zeros((1, 4, side, side), np.float32)
    box[:, 2:] = DETECTED_PX / STRIDE
    nodes = [
        node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Conv", ["cells", "weights"], ["green"]),
        node("Mul", ["green", "gain"], ["scaled"]),
        node("Sub", ["scaled", "offset"], ["center"]),
        node("Concat", ["center", "box"], ["centers"], axis=1),
    ]
    model = _graph_bytes(
        onnx,
        nodes,
        {"centers": [1, 5, side, side]},
        weights=_color_weights(np.array([1])),
        gain=[16.0],
        offset=[8.0],
        box=box,
    )
    nobody = {"name": "box", "keypoints": [], "flip_pairs": [], "edges": [], "sigmas": []}
    return write_artifact(
        "boxes",
        model,
        task="detector",
        decoder={"name": "centers", "kind": "logits", "stride": STRIDE},
        keypoint_format=nobody,
        outputs=[
            {
                "name": "centers",
                "layout": "nkhw",
                "shape": (1, 5, side, side),
                "dtype": "float32",
            }
        ],
    )
