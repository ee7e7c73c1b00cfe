from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import device_configs
from converters import CONVERTERS
from edge_pose.backends import BACKENDS, READS, onnxruntime, openvino_devices, tflite
from edge_pose.errors import ConfigError, UsageError
from edge_pose.power import METERS
from edge_pose.profile import (
    DeviceProfile,
    detect_profile,
    load_profile,
    profile_file,
    profile_names,
)
from edge_pose.profile_schema import DEVICES

NAMES = (
    "android_arm64",
    "coral_edge_tpu",
    "generic_aarch64",
    "generic_x86_64",
    "intel_cpu",
    "intel_igpu",
    "intel_npu",
    "jetson_agx_orin",
    "jetson_nano",
    "jetson_orin_nano",
    "jetson_xavier_nx",
    "raspberry_pi_4",
    "raspberry_pi_5",
    "raspberry_pi_zero_2w",
)


def text_of(name: str) -> str:
    return device_configs.profile_path(name).read_text(encoding="utf-8")


def test_names() -> None:
    assert profile_names() == device_configs.profile_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profiles_are_sound(name: str) -> None:
    profile = load_profile(name)
    runtime, power = profile.runtime, profile.power
    assert profile.name == name
    assert profile.description
    assert power.meter in METERS
    assert 0 < power.idle_w < power.max_w
    if power.modes_w:
        assert power.modes_w[0] > power.idle_w
        assert power.max_w >= power.modes_w[-1]
        assert power.budget_w in power.modes_w
    assert runtime.backend in BACKENDS
    assert runtime.format in READS[runtime.backend]
    assert runtime.precision in profile.precisions
    if profile.cores is not None:
        assert runtime.threads == profile.cores - 1


@pytest.mark.parametrize("name", NAMES)
def test_a_converter_makes_what_the_device_runs(name: str) -> None:
    runtime = load_profile(name).runtime
    assert (runtime.format, runtime.precision) in CONVERTERS


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profiles_say_what_to_run(name: str) -> None:
    runtime = text_of(name).partition("[runtime]")[2].partition("[power]")[0]
    for key in ("backend", "device", "threads", "format", "precision"):
        assert re.search(rf"^{key} = ", runtime, re.MULTILINE), key


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_its_source(name: str) -> None:
    """A comment in the value's line, or above it or the block of values that it is in."""
    sourced = True  # what says which file it is needs no source
    values = 0
    for line in text_of(name).splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            sourced = len(stripped) > 10
        elif not stripped or stripped.startswith("["):
            sourced = False
        elif not re.match(r"(schema|name|description) = ", stripped):
            values += 1
            inline = re.search(r"#\s+\S.{8,}$", re.sub(r'"[^"]*"', "", stripped))
            assert sourced or inline, f"no source: {line}"
            if inline:
                sourced = False  # a block's comment does not reach past a value with its own
    assert values >= 9


@pytest.mark.parametrize("name", NAMES)
def test_guessed_watts_say_so(name: str) -> None:
    power = text_of(name).partition("[power]")[2]
    official = {"raspberry_pi_4", "raspberry_pi_5"}
    assert ("ASSUMPTION" in power) == (name not in official)


def test_facts_of_boards() -> None:
    four, five, zero = (load_profile(f"raspberry_pi_{name}") for name in ("4", "5", "zero_2w"))
    assert (four.arch, four.cores, five.arch, five.cores) == ("aarch64", 4, "aarch64", 4)
    assert "fp16" in five.precisions
    assert "fp16" not in four.precisions + zero.precisions
    assert (zero.memory_mib, five.power.sensor, four.power.sensor) == (512, "pmic", "none")


def test_facts_of_jetsons() -> None:
    nano, xavier, orin, agx = (
        load_profile(f"jetson_{name}") for name in ("nano", "xavier_nx", "orin_nano", "agx_orin")
    )
    assert "int8" not in nano.precisions  # Maxwell
    assert xavier.power.budget_w == 15  # the EfficientHRNet table
    rails = [profile.power.rails for profile in (nano, xavier, orin, agx)]
    assert rails[:3] == [("POM_5V_IN",), ("VDD_IN",), ("VDD_IN",)]  # totals, never added to parts
    assert rails[3] == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    for profile in (nano, xavier, orin, agx):
        runtime = profile.runtime
        assert (runtime.device, runtime.build_engine) == ("TENSORRT", "tensorrt")
        assert (runtime.format, runtime.precision) == ("onnx", "fp16")


def test_facts_of_accelerators() -> None:
    coral, npu = load_profile("coral_edge_tpu"), load_profile("intel_npu")
    assert coral.precisions == ("int8",)
    assert (coral.arch, coral.cores) == ("", None)  # the host's
    assert coral.runtime.integer_io
    assert coral.runtime.static_shapes
    assert npu.runtime.static_shapes
    assert npu.runtime.device == "AUTO:NPU,CPU"
    assert load_profile("intel_igpu").runtime.fold_pixels


def test_devices_are_said_in_words_of_every_backend() -> None:
    assert {*DEVICES, openvino_devices.NAME} == set(BACKENDS)
    assert set(DEVICES["onnxruntime"]) == set(onnxruntime.DEVICES)
    assert set(DEVICES["tflite"]) == set(tflite.DEVICES)


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'raspberry_pi_5'"):
        load_profile("raspbery_pi_5")
    with pytest.raises(KeyError):
        device_configs.profile_path("nothing")


def test_where_a_profile_is() -> None:
    assert profile_file("intel_npu") == device_configs.profile_path("intel_npu")
    assert profile_file("mine.toml") == Path("mine.toml")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_profile(str(tmp_path / "none.toml"))


def test_profiles_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_profile("raspberry_pi_4").cores = 8


def test_auto_finds_this_machine() -> None:
    profile = load_profile("auto")
    assert isinstance(profile, DeviceProfile)
    assert profile == detect_profile()


def test_device_configs_imports_nothing_of_edge_pose() -> None:
    code = "import sys, device_configs; sys.exit(any('edge_pose' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
