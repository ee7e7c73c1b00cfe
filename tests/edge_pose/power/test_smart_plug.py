"""A plug at a real broker; a client of the test plays the plug."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_pose.config import MqttConfig
from edge_pose.errors import PowerError, UsageError
from edge_pose.mqtt_link import MqttLink
from edge_pose.power import PowerMeter, open_meter
from edge_pose.profile import load_profile

PLUGS = Path(__file__).parents[2] / "fixtures/power/plugs"
PROFILE = load_profile("raspberry_pi_4")
Until = Callable[..., None]


class Plug:
    """Says the same again and again in a thread of its own, as plugs do."""

    def __init__(self, config: MqttConfig, topic: str, payload: bytes, *, retain: bool) -> None:
        self.payload = payload
        self._topic = topic
        self._retain = retain
        self._link = MqttLink(config)
        self._link.open()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._link.publish(self._topic, self.payload, retain=self._retain)
            self._link.step(0.05)
            self._stop.wait(0.05)
        self._link.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def plug(broker: Any, topic: str, payload: bytes, *, retain: bool = False) -> Iterator[Plug]:
    config = MqttConfig(host=broker.host, port=broker.port)
    playing = Plug(config, topic, payload, retain=retain)
    try:
        yield playing
    finally:
        playing.stop()


def lost(smart_plug: PowerMeter) -> bool:
    try:
        smart_plug.read_w()
    except PowerError:
        return True
    return False


def meter(broker: Any, rest: str) -> PowerMeter:
    return open_meter(f"smart_plug:mqtt://{broker.host}:{broker.port}/{rest}", PROFILE)


@pytest.mark.parametrize(
    ("topic", "file", "options", "watts"),
    [
        ("shellies/shellyplug-s-7A2B1C/relay/0/power", "shelly_gen1.txt", "", 23.4),
        ("shellyplusplugs-80646fc7/status/switch:0", "shelly_gen2.json", "", 8.9),
        ("tele/desk/SENSOR", "tasmota.json", "", 12.0),
        ("home/meter", "emeter.json", ",path=emeters.2.power", 7.5),
    ],
)
def test_plugs(
    topic: str, file: str, options: str, watts: float, mosquitto: Callable[..., Any]
) -> None:
    broker = mosquitto()
    with (
        plug(broker, topic, (PLUGS / file).read_bytes()),
        closing(meter(broker, f"{topic}{options},stale_s=20")) as smart_plug,
    ):
        assert smart_plug.read_w() == pytest.approx(watts)
        assert (smart_plug.name, smart_plug.source, smart_plug.scope) == (
            "smart_plug", "measured", "wall",
        )  # fmt: skip
        assert smart_plug.detail == f"MQTT topic {topic} at 127.0.0.1:{broker.port}"


def test_reading_follows_the_plug_and_goes_stale(
    mosquitto: Callable[..., Any], until: Until
) -> None:
    broker = mosquitto()
    own = b'{"schema": "edge_pose.power/1", "watts": %s}'
    topic = "edge_pose/pi-1/power"
    with plug(broker, topic, own % b"3.5") as playing:
        smart_plug = meter(broker, f"{topic},stale_s=3")
        assert smart_plug.read_w() == 3.5
        playing.payload = own % b"4.5"
        until(lambda: smart_plug.read_w() == 4.5)
        playing.payload = own % b"-1"  # the newest valid one stays, for a while
        assert smart_plug.accuracy.update_s > 0
        until(lambda: lost(smart_plug), 20)
        with pytest.raises(PowerError, match=r"s old \(edge_pose\.power/1: watts: must be bigger"):
            smart_plug.read_w()
    smart_plug.close()


def test_broker_that_goes_and_comes_back(mosquitto: Callable[..., Any], until: Until) -> None:
    broker = mosquitto()
    with plug(broker, "p", b"5"):
        smart_plug = meter(broker, "p,stale_s=30")
    broker.kill()
    assert smart_plug.read_w() == 5.0
    broker.start()
    with plug(broker, "p", b"6"):
        until(lambda: smart_plug.read_w() == 6.0, 20)
    smart_plug.close()


def test_what_the_broker_has_kept_is_no_reading(mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto()
    with plug(broker, "p", b"5", retain=True), closing(meter(broker, "p,stale_s=20")) as fresh:
        assert fresh.read_w() == 5.0
    with pytest.raises(PowerError, match=r"no reading within 1 s \(only an old message that"):
        meter(broker, "p,stale_s=1")


def test_password_from_a_file(mosquitto: Callable[..., Any], tmp_path: Path) -> None:
    broker = mosquitto(users={"reader": "secret"})
    file = tmp_path / "password"
    file.write_text("wrong\n")
    url = f"smart_plug:mqtt://reader@127.0.0.1:{broker.port}/p,stale_s=20,password_file={file}"
    with pytest.raises(PowerError, match=r"smart_plug: .*refused: Not authorized"):
        open_meter(url, PROFILE)
    file.write_text("secret\n")
    with pytest.raises(PowerError, match=r"no reading within 0\.5 s$"):  # let in, but no plug
        open_meter(url.replace("stale_s=20", "stale_s=0.5"), PROFILE)


def test_no_broker(nobody: Any) -> None:
    with pytest.raises(PowerError, match=r"smart_plug: MQTT topic p at .* \(Connection refused\)"):
        meter(nobody, "p,stale_s=1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smart_plug", r"expected smart_plug:mqtt://\[USER@\]HOST/TOPIC"),
        ("smart_plug:http://h/t", "smart_plug: broker address: expected mqtt://"),
        ("smart_plug:mqtt://h", "expected the topic of one plug, without . and #"),
        ("smart_plug:mqtt://h/a/+/power", "expected the topic of one plug"),
        ("smart_plug:mqtt://u:hunter2@h/t", "no place in the address, use password_file="),
        (
            "smart_plug:mqtt://h/t,paht=x",
            "'paht': unknown, did you mean 'path'",
        ),
        ("smart_plug:mqtt://h/t,stale_s=soon", "stale_s=soon: expected seconds above 0"),
        ("smart_plug:mqtt://h/t,stale_s=0", "expected seconds above 0"),
        ("smart_plug:mqtt://h/t,stale_s=nan", "expected seconds above 0"),
        ("smart_plug:,path=x", "nothing in front of"),
    ],
)
def test_options_of_another_form(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_meter(text, PROFILE)
    assert "hunter2" not in str(caught.value)


def test_password_file_that_is_not_there() -> None:
    with pytest.raises(PowerError, match=r"smart_plug: mqtt\.password_file none: cannot be read"):
        open_meter("smart_plug:mqtt://u@h/t,password_file=none", PROFILE)
