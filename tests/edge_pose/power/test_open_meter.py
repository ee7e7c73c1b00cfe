from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PowerError, UsageError
from edge_pose.power import AUTO, METERS, OPTIONS, EnergyRecorder, open_meter
from edge_pose.profile import detect_profile, load_profile, profile_names

PROFILE = load_profile("generic_x86_64")


def test_auto_measures_where_it_can(powercap: Path, tmp_path: Path) -> None:
    assert open_meter("auto", PROFILE, tmp_path).source == "measured"


def test_auto_estimates_elsewhere_and_says_why(
    tmp_path: Path, write_stat: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_stat(1, 1, 1, 1, 1, 1, 1, 1)
    meter = open_meter("auto", load_profile("raspberry_pi_4"), tmp_path)
    assert meter.source == "estimated"
    assert "3.06 W idle to 6.12 W busy (profile raspberry_pi_4)" in meter.detail
    assert "rapl: no package domain" in caplog.text


def test_auto_warns_where_a_meter_that_is_there_is_left_out(
    copy_of: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = copy_of("jetson_orin_nano")
    (root / "sys/class/hwmon/hwmon1/in1_enable").write_text("0\n")
    assert open_meter("auto", detect_profile(root), root).source == "estimated"
    (warning,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "rail VDD_IN is switched off" in warning.getMessage()
    assert warning.getMessage().endswith("; taking the next meter")


def test_every_meter_is_one_of_the_three_kinds() -> None:
    assert set(AUTO) | set(OPTIONS) == set(METERS)
    assert set(AUTO) & set(OPTIONS) == set()
    assert AUTO[-1] == "estimate"


@pytest.mark.parametrize(
    ("name", "tree_name"),
    [
        ("ina3221", "jetson_xavier_nx"),
        ("rpi_pmic", "raspberry_pi_5"),
        ("rapl", "core_i5_8250u"),
        ("fuel_gauge", "core_i5_8250u"),
        ("estimate", "virtual_machine"),
    ],
)
def test_every_meter_of_the_machine_by_name(
    name: str, tree_name: str, tree: Callable[[str], Path]
) -> None:
    root = tree(tree_name)
    meter = open_meter(name, detect_profile(root), root)
    assert meter.name == name
    assert meter.detail
    with EnergyRecorder(meter) as recorder:
        pass
    assert recorder.summary().samples == 2
    meter.close()
    meter.close()


@pytest.mark.parametrize("name", AUTO[:-1])
def test_a_meter_that_is_absent_says_why_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(PowerError, match=f"^{name}: ") as caught:
        open_meter(name, PROFILE, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tree_name", "meter"),
    [
        ("jetson_agx_orin", "ina3221"),
        ("jetson_nano", "ina3221"),
        ("jetson_orin_nano", "ina3221"),
        ("jetson_xavier_nx", "ina3221"),
        ("raspberry_pi_4", "estimate"),
        ("raspberry_pi_5", "rpi_pmic"),
        ("amd_ryzen_coral_usb", "rapl"),
        ("core_i5_8250u", "rapl"),
        ("virtual_machine", "estimate"),
    ],
)
def test_auto_takes_the_meter_of_the_machine(
    tree_name: str, meter: str, tree: Callable[[str], Path]
) -> None:
    root = tree(tree_name)
    profile = detect_profile(root)
    assert open_meter("auto", profile, root).name == meter
    if meter != "estimate":
        assert profile.power.meter == meter  # and by its own profile


@pytest.mark.parametrize("name", profile_names())
def test_profiles_name_the_meter_of_their_sensor(name: str) -> None:
    power = load_profile(name).power
    meters = {"ina3221": "ina3221", "rapl": "rapl", "pmic": "rpi_pmic"}
    assert power.meter == meters.get(power.sensor or "", "estimate")
    assert power.meter in METERS


def test_the_laptop_runs_on_its_battery_where_nobody_may_read_rapl(
    copy_of: Callable[[str], Path],
) -> None:
    root = copy_of("core_i5_8250u")
    shutil.rmtree(root / "sys/class/powercap")
    assert open_meter("auto", load_profile("intel_cpu"), root).name == "fuel_gauge"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rapl:3", "power meter rapl: takes no options .found '3'"),
        ("estimate:", None),
        ("ina219", r"power meter ina219: expected ina219:BUS,ADDRESS\[,SHUNT_OHM\]"),
        ("file:", r"power meter file: expected file:FILE"),
    ],
)
def test_options(text: str, message: str | None) -> None:
    if message is None:
        assert open_meter(text, PROFILE).name == "estimate"
        return
    with pytest.raises(UsageError, match=message):
        open_meter(text, PROFILE)


def test_a_named_meter_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="rapl: no package domain"):
        open_meter("rapl", PROFILE, tmp_path)


def test_unknown_meter() -> None:
    with pytest.raises(UsageError, match="power meter 'rapple': unknown, did you mean 'rapl'"):
        open_meter("rapple", PROFILE)
