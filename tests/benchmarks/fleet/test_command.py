"""`edge-pose-bench fleet`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet import mosquitto, run
from edge_pose.broker import free_port

QUICK = ("fleet", "--devices", 2, "--seconds", 0.5, "--warm-up", 0, "--rounds", 1, "--qos", 0)


@pytest.mark.usefixtures("_mosquitto")
def test_the_command(
    bench: Callable[..., tuple[int, str, str]],
    message: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(run, "FLAT_OUT_S", 0.2)
    file = tmp_path / "poses.jsonl"
    file.write_text(json.dumps(message) + "\n")
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
