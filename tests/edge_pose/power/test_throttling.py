from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.power.throttling import (
    CPU,
    read_governor,
    read_state,
    read_turbo,
    throttled_between,
)

Tree = Callable[[str], Path]


def test_jetson(tree: Tree) -> None:
    state = read_state(tree("jetson_orin_nano"))
    assert state.temperatures_c == {
        "cpu-thermal": 48.906, "gpu-thermal": 47.531, "tj-thermal": 48.906,
    }  # fmt: skip
    assert state.clocks_mhz == {"cpu policy0": 1510.4, "cpu policy4": 1510.4, "17000000.gpu": 306.0}
    assert (state.governor, state.turbo) == ("schedutil", None)
    assert state.throttled == ()  # the fan runs, which is no throttling
    assert state.events == {"oc1_event_cnt": 0, "oc3_event_cnt": 2}


def test_laptop(tree: Tree) -> None:
    state = read_state(tree("core_i5_8250u"))
    assert (state.governor, state.turbo, state.throttled) == ("powersave", True, ())
    assert state.events == {"core_throttle_count": 3, "package_throttle_count": 7}


def test_raspberry_pi(tree: Tree) -> None:
    five, four = read_state(tree("raspberry_pi_5")), read_state(tree("raspberry_pi_4"))
    assert five.throttled == ()  # 0x50000: only in the past
    assert five.events["under-voltage since the boot"] == 1
    assert five.events["throttled since the boot"] == 1
    assert five.events["frequency capped since the boot"] == 0
    assert four.throttled == ("soft temperature limit",)  # 0xe0008


def test_a_machine_that_tells_nothing(tree: Tree, tmp_path: Path) -> None:
    state = read_state(tmp_path)
    assert (state.temperatures_c, state.clocks_mhz, state.events) == ({}, {}, {})
    assert state.throttled is state.governor is state.turbo is None
    assert throttled_between(state, state) is None
    assert read_state(tree("virtual_machine")).throttled is None


@pytest.mark.parametrize(
    ("name", "file", "value", "reason"),
    [
        ("core_i5_8250u", f"{CPU}/cpu0/thermal_throttle/core_throttle_count", 4,
         "core_throttle_count"),
        ("core_i5_8250u", "sys/class/thermal/cooling_device0/cur_state", 2, "Processor"),
        ("jetson_orin_nano", "sys/class/thermal/cooling_device2/cur_state", 1,
         "gpu-throttle-alert"),
        ("jetson_orin_nano", "sys/class/hwmon/hwmon2/oc3_event_cnt", 3, "oc3_event_cnt"),
        ("raspberry_pi_5", "commands/vcgencmd_get_throttled.txt", "throttled=0x50001",
         "under-voltage"),
        ("raspberry_pi_5", "commands/vcgencmd_get_throttled.txt", "throttled=0x70000",
         "frequency capped since the boot"),
    ],
)  # fmt: skip
def test_what_happened_in_between(
    name: str, file: str, value: object, reason: str, copy_of: Tree
) -> None:
    root = copy_of(name)
    before = read_state(root)
    assert throttled_between(before, read_state(root)) == ()
    (root / file).write_text(f"{value}\n")
    assert throttled_between(before, read_state(root)) == (reason,)


def test_unreadable_parts_are_left_out(copy_of: Tree) -> None:
    root = copy_of("raspberry_pi_5")
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("n/a\n")
    (root / "commands/vcgencmd_get_throttled.txt").write_text("VCHI initialization failed\n")
    state = read_state(root)
    assert (state.temperatures_c, state.throttled) == ({}, None)


def test_zones_of_one_name(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / "sys/class/thermal/thermal_zone1/type").write_text("cpu-thermal\n")
    found = read_state(root).temperatures_c
    assert found["cpu-thermal thermal_zone1"] == 47.531
    assert found["cpu-thermal"] == 48.906


def test_governors_that_differ_and_boost(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / CPU / "cpu4/cpufreq/scaling_governor").write_text("performance\n")
    assert read_governor(root) == "performance,schedutil"
    assert read_turbo(copy_of("amd_ryzen_coral_usb")) is True


def test_this_machine() -> None:
    state = read_state()
    assert all(-50 < celsius < 150 for celsius in state.temperatures_c.values())
    assert all(mhz > 0 for mhz in state.clocks_mhz.values())
