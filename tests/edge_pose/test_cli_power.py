from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_pose import cli_power
from edge_pose.cli import cli
from edge_pose.errors import PowerError, UsageError
from edge_pose.power import METERS, open_meter
from edge_pose.profile import load_profile

FIXTURES = Path(__file__).parents[1] / "fixtures"
TREES = FIXTURES / "devices"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["power", *arguments])


def test_list_of_a_jetson() -> None:
    result = run("--root", str(TREES / "jetson_orin_nano"))
    assert result.exit_code == 0, result.output
    lines = dict(line[2:].split(maxsplit=1) for line in result.output.splitlines())
    assert lines["ina3221"] == "4.94 W, board, measured: VDD_IN of 3 rails"
    assert lines["rapl"].startswith("absent: no package domain in ")
    assert lines["ina219"] == "needs options: ina219:BUS,ADDRESS[,SHUNT_OHM]"
    assert "board, estimated: " in lines["estimate"]
    assert [line for line in result.output.splitlines() if line.startswith("* ina3221")]
    assert set(METERS) <= set(lines)


def test_throttling_is_said() -> None:
    output = run("--root", str(TREES / "raspberry_pi_4")).output
    assert "throttled: soft temperature limit" in output
    assert "* is what `auto` takes (profile raspberry_pi_4)" in output


def test_list_as_json() -> None:
    result = run("--root", str(TREES / "raspberry_pi_5"), "--json")
    found = json.loads(result.output)
    assert (found["profile"], found["auto"]) == ("raspberry_pi_5", "rpi_pmic")
    rows = {row["name"]: row for row in found["meters"]}
    assert list(rows) == list(METERS)
    assert rows["rpi_pmic"]["watts"] == pytest.approx(1.3703, abs=1e-4)
    assert len(rows["rpi_pmic"]["rails_w"]) == 12
    assert rows["rapl"]["present"] is False
    assert rows["rapl"]["text"].startswith("no package domain")
    assert rows["smart_plug"]["present"] is None
    assert found["state"]["temperatures_c"] == {"cpu-thermal": 51.25}


def test_one_reading() -> None:
    result = run("--root", str(TREES / "jetson_nano"), "--meter", "ina3221")
    first, reading = result.output.splitlines()
    assert first == "ina3221, board, measured: POM_5V_IN of 3 rails"
    assert "3.271 W  (POM_5V_IN 3.271, POM_5V_GPU 0.204, POM_5V_CPU 1.184)" in reading


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    times: list[float] = []
    monkeypatch.setattr(cli_power.time, "sleep", times.append)
    return times


def test_watch_and_mean(slept: list[float]) -> None:
    result = run(
        "--root", str(TREES / "jetson_nano"), "--watch", "3", "--interval", "0.5", "--json"
    )  # fmt: skip
    *readings, last = [json.loads(line) for line in result.output.splitlines()]
    assert [reading["watts"] for reading in readings] == [pytest.approx(3.271)] * 3
    assert slept == [0.5, 0.5]
    summary = last["summary"]
    assert summary["mean_w"] == pytest.approx(3.271)
    assert summary["samples"] == 4
    assert summary["rails_w"]["POM_5V_CPU"] == pytest.approx(1.184)
    assert summary["uncertainty_w"] == pytest.approx(2 * 0.015 * 3.271 / 3**0.5)
    table = run("--root", str(TREES / "jetson_nano"), "--watch", "2").output
    assert "mean 3.271 W ± 0.057 W (95 %), " in table


def test_uncertainty_says_what_is_not_in_it(slept: list[float]) -> None:
    output = run("--root", str(TREES / "raspberry_pi_5"), "--watch", "2").output
    assert "W (95 %, without the sensor's own error), " in output


def test_watch_of_an_estimate_waits_for_its_first_window() -> None:
    output = run("--meter", "estimate", "--watch", "2", "--interval", "0.15").output
    assert output.splitlines()[0].startswith("estimate, board, estimated: ")
    assert "±" not in output


def test_meter_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "nano"
    shutil.copytree(TREES / "jetson_nano", root)
    sleeps = 0

    def vanish(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 2:
            shutil.rmtree(root / "sys/bus")

    monkeypatch.setattr(cli_power.time, "sleep", vanish)
    result = run("--root", str(root), "--watch", "5")
    assert result.output.count(" W  (") == 2  # what was read stays
    assert isinstance(result.exception, PowerError)
    assert "ina3221: lost after " in str(result.exception)
    assert sleeps == 2


def test_averaging_meter_that_is_lost_shows_no_reading_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "ryzen"
    shutil.copytree(TREES / "amd_ryzen_coral_usb", root)
    sleeps = 0

    def vanish(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 3:
            shutil.rmtree(root / "sys/class/powercap")

    open_meter("rapl", load_profile("generic_x86_64"), root)  # imported with the real sleep
    monkeypatch.setattr(cli_power.time, "sleep", vanish)
    result = run("--root", str(root), "--meter", "rapl", "--watch", "5", "--json")
    assert result.output.count('"watts"') == 2
    assert isinstance(result.exception, PowerError)
    assert sleeps == 3


def test_energy_out_of_a_log() -> None:
    log = f"file:{FIXTURES / 'power/ptdaemon.txt'}"
    span = ("--between", "2026-11-20T08:00:00.25Z", "2026-11-20T08:00:05.25Z")
    result = run("--meter", log, *span, "--utc")
    assert result.output.startswith("mean 22.960 W ± ")
    assert "114.80 J in 5.00 s, 6 samples" in result.output
    found = json.loads(run("--meter", log, *span, "--utc", "--json").output)
    assert found["summary"]["energy_j"] == pytest.approx(114.8)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--meter", "rappl"], "power meter 'rappl': unknown, did you mean 'rapl'"),
        (["--meter", "ina219"], "expected ina219:BUS,ADDRESS"),
        (["--between", "1", "2"], "--between: needs --meter file:LOG"),
        (["--meter", "file:x", "--between", "a", "b"], "--between: "),
        (["--meter", "file:x,stale_s=5", "--between", "1", "2"], "stale_s is for a log that grows"),
        (["--meter", "file:x,stale=5", "--between", "1", "2"], "did you mean 'stale_s'"),
        (["--meter", "file:x", "--between", "1", "2", "--watch", "2"], "--watch: not with"),
        (["--meter", "estimate", "--utc"], "--utc: only with --between"),
        (["--profile", "raspbery_pi_5"], "did you mean 'raspberry_pi_5'"),
    ],
)
def test_wrong_usage(arguments: list[str], text: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert text in str(result.exception)


def test_absent_meter(tmp_path: Path) -> None:
    result = run("--meter", "rapl", "--root", str(tmp_path), "--profile", "generic_x86_64")
    assert isinstance(result.exception, PowerError)
    assert "rapl: no package domain in" in str(result.exception)
    assert run("--watch", "0").exit_code == 2
    assert run("--root", str(tmp_path / "none")).exit_code == 2


def test_every_tree_can_be_listed(need: Callable[[str], object]) -> None:
    for root in sorted(path for path in TREES.iterdir() if path.is_dir()):
        result = run("--root", str(root))
        assert result.exit_code == 0, (root, result.exception)
