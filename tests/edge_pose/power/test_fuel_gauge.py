from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.fuel_gauge import SUPPLIES, FuelGaugeMeter

BATTERY = f"{SUPPLIES}/BAT0"


@pytest.fixture
def laptop(copy_of: Callable[[str], Path]) -> Path:
    return copy_of("core_i5_8250u")


def add_battery(root: Path, **files: object) -> None:
    folder = root / SUPPLIES / "BAT1"
    folder.mkdir()
    for name, value in {"type": "Battery", **files}.items():
        (folder / name).write_text(f"{value}\n")


def test_discharge_without_the_mouse(laptop: Path) -> None:
    meter = FuelGaugeMeter(laptop)
    assert meter.read_w() == pytest.approx(7.34)
    assert (meter.name, meter.source, meter.scope) == ("fuel_gauge", "measured", "battery")
    assert meter.detail == "discharge of BAT0, the display and all else included"


@pytest.mark.parametrize("sign", [1, -1])
def test_current_times_voltage(laptop: Path, sign: int) -> None:
    (laptop / BATTERY / "power_now").unlink()
    (laptop / BATTERY / "current_now").write_text(f"{sign * 500_000}\n")
    assert FuelGaugeMeter(laptop).read_w() == pytest.approx(0.5 * 11.864)


def test_two_batteries(laptop: Path) -> None:
    add_battery(laptop, status="Discharging", power_now=1_000_000)
    assert FuelGaugeMeter(laptop).read_w() == pytest.approx(8.34)


def test_second_battery_in_waiting(laptop: Path) -> None:
    add_battery(laptop, status="Unknown", power_now=9_000_000)
    assert FuelGaugeMeter(laptop).read_w() == pytest.approx(7.34)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_on_mains_it_is_no_measure(laptop: Path, status: str) -> None:
    meter = FuelGaugeMeter(laptop)
    (laptop / BATTERY / "status").write_text(f"{status}\n")
    text = f"BAT0 is '{status}', expected 'Discharging': pull the plug"
    with pytest.raises(PowerError, match=text):
        FuelGaugeMeter(laptop)
    with pytest.raises(PowerError, match=text):
        meter.read_w()  # plugged in while measuring


def test_one_battery_is_charged_from_the_other(laptop: Path) -> None:
    add_battery(laptop, status="Charging", power_now=1)
    with pytest.raises(PowerError, match="BAT1 is 'Charging'"):
        FuelGaugeMeter(laptop)


def test_no_battery(laptop: Path, tree: Callable[[str], Path]) -> None:
    with pytest.raises(PowerError, match="fuel_gauge: no battery in "):
        FuelGaugeMeter(tree("raspberry_pi_5"))
    (laptop / BATTERY / "present").write_text("0\n")
    with pytest.raises(PowerError, match="no battery"):
        FuelGaugeMeter(laptop)


def test_battery_that_is_taken_out(laptop: Path) -> None:
    meter = FuelGaugeMeter(laptop)
    (laptop / BATTERY / "power_now").unlink()
    with pytest.raises(PowerError, match="current_now: cannot be read"):
        meter.read_w()
