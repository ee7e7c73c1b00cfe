from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.errors import PowerError, PublisherError
from edge_pose.power.plug_payload import read_payload, usual_path

PLUGS = Path(__file__).parents[2] / "fixtures/power/plugs"


@pytest.mark.parametrize(
    ("topic", "file", "watts"),
    [
        ("shellies/shellyplug-s-7A2B1C/relay/0/power", "shelly_gen1.txt", 23.4),
        ("shellyplusplugs-80646fc7/status/switch:0", "shelly_gen2.json", 8.9),
        ("shellyplugpmg3-54320459/status/pm1:0", "shelly_gen2.json", 8.9),
        ("tele/desk/SENSOR", "tasmota.json", 12.0),
        ("desk/tele/SENSOR", "tasmota.json", 12.0),
    ],
)
def test_plugs_by_their_topic(topic: str, file: str, watts: float) -> None:
    payload = (PLUGS / file).read_bytes()
    assert read_payload(payload, usual_path(topic)) == pytest.approx(watts)


@pytest.mark.parametrize(
    ("path", "watts"), [("total_power", 12.75), ("emeters.0.power", 5.25), ("emeters.2.power", 7.5)]
)
def test_any_path(path: str, watts: float) -> None:
    assert read_payload((PLUGS / "emeter.json").read_bytes(), path) == watts


def test_our_own_message() -> None:
    message = {"schema": "edge_pose.power/1", "watts": 3.25, "device": "pi-1"}
    assert usual_path("edge_pose/pi-1/power") == ""
    assert read_payload(json.dumps(message).encode(), "") == 3.25
    with pytest.raises(PublisherError, match="watts: must be bigger than or equal to 0"):
        read_payload(json.dumps({**message, "watts": -1}).encode(), "")


@pytest.mark.parametrize(
    ("payload", "path", "text"),
    [
        (b"on", "", "found 'on', expected a number or JSON"),
        (b"", "", "expected a number or JSON"),
        (b"\xff\xfe", "", "expected a number or JSON"),
        (b'{"apower": 3}', "", r"say where the power is: path=KEY\.KEY"),
        (b'{"output": true}', "apower", "apower: no 'apower' in the message"),
        (b'{"a": [1]}', "a.1", r"a\.1: no '1' in the message"),
        (b'{"a": [1]}', "a.x", "no 'x'"),
        (b'{"a": 5}', "a.b", "no 'b'"),
        (b'{"a": null}', "a", "found 'None', expected watts"),
        (b'{"a": true}', "a", "found 'True', expected watts"),
        (b'{"a": [12, 13]}', "a", r"a: found 2 values, say which one: path=a\.0"),
        (b'{"a": []}', "a", r"found '\[\]', expected watts"),
        (b"-3", "", "found '-3', expected watts, 0 or more"),
        (b"NaN", "", "expected watts"),
        (b"Infinity", "", "expected watts"),
        (b"1e999", "", "expected watts"),
        (b"[" * 100_000, "", "expected a number or JSON"),
    ],
)
def test_no_watts_in_it(payload: bytes, path: str, text: str) -> None:
    with pytest.raises(PowerError, match=text) as caught:
        read_payload(payload, path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=60), st.sampled_from(["", "apower", "a.0", "ENERGY.Power"]))
def test_anything_else_is_one_error(payload: bytes, path: str) -> None:
    try:
        assert 0 <= read_payload(payload, path) < float("inf")
    except (PowerError, PublisherError):
        return
