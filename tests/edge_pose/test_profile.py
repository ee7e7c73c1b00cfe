from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import device_configs
from edge_pose.errors import ConfigError, UsageError
from edge_pose.power import METERS
from edge_pose.profile import DeviceProfile, detect_profile, load_profile, profile_names

NAMES = ("generic_aarch64", "generic_x86_64", "raspberry_pi_4", "raspberry_pi_5")


def test_names() -> None:
    assert profile_names() == device_configs.profile_names()
    assert set(NAMES) <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_are_sound(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.power.meter in METERS
    assert 0 < profile.power.idle_w < profile.power.max_w
    assert "fp32" in profile.precisions
    if profile.cores is not None:
        assert profile.runtime.threads <= profile.cores


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_names_its_source(name: str) -> None:
    text = device_configs.profile_path(name).read_text(encoding="utf-8")
    power = text.partition("[power]")[2]
    comments = [line for line in power.splitlines() if line.startswith("#")]
    assert comments, "the watts have no source"
    if name.startswith("generic_"):
        assert "ASSUMPTIONS" in power


def test_raspberry_pi_facts() -> None:
    four, five = load_profile("raspberry_pi_4"), load_profile("raspberry_pi_5")
    assert (four.arch, four.cores, five.arch, five.cores) == ("aarch64", 4, "aarch64", 4)
    assert "fp16" in five.precisions
    assert "fp16" not in four.precisions


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'raspberry_pi_5'"):
        load_profile("raspbery_pi_5")
    with pytest.raises(KeyError):
        device_configs.profile_path("nothing")


def write(tmp_path: Path, change: tuple[str, str] = ("", "")) -> Path:
    text = device_configs.profile_path("raspberry_pi_4").read_text(encoding="utf-8")
    assert change[0] in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(*change, 1), encoding="utf-8")
    return file


def test_profile_of_your_own(tmp_path: Path) -> None:
    file = write(tmp_path, ("idle_w = 3.06", "idle_w = 2.0"))
    assert load_profile(str(file)).power.idle_w == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cores", "coers"), "unknown key 'coers', did you mean 'cores'?"),
        (("idle_w", "idle"), "unknown key 'power.idle', did you mean 'idle_w'?"),
        (("cores = 4", "cores = 0"), "cores: Input should be greater than or equal to 1 (found 0)"),
        (("max_w = 6.12", "max_w = 1"), "power: max_w 1 is below idle_w 3.06"),
        (('"int8"]', '"int7"]'), "precisions.1: Input should be 'fp32', 'fp16', 'bf16' or 'int8'"),
        (("max_w = 6.12", ""), "power.max_w: Field required"),
        (("device/1", "device/9"), "schema is 'edge_pose.device/9', this version reads"),
        (("cores = 4", "cores 4"), "not valid TOML"),
    ],
)
def test_errors_are_one_line_with_file_and_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    file = write(tmp_path, change)
    with pytest.raises(ConfigError) as caught:
        load_profile(str(file))
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_profile(str(tmp_path / "none.toml"))


def test_profiles_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_profile("raspberry_pi_4").cores = 8


@pytest.mark.parametrize(
    ("model", "machine", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "aarch64", "raspberry_pi_4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "aarch64", "raspberry_pi_5"),
        ("Raspberry Pi 400 Rev 1.0", "aarch64", "generic_aarch64"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "aarch64", "generic_aarch64"),
        ("NVIDIA Jetson Orin Nano Developer Kit", "aarch64", "generic_aarch64"),
        (None, "aarch64", "generic_aarch64"),
        (None, "arm64", "generic_aarch64"),
        (None, "x86_64", "generic_x86_64"),
        (None, "AMD64", "generic_x86_64"),
    ],
)
def test_detection(tmp_path: Path, model: str | None, machine: str, name: str) -> None:
    if model is not None:
        file = tmp_path / "proc/device-tree/model"
        file.parent.mkdir(parents=True)
        file.write_bytes(model.encode() + b"\0")
    assert detect_profile(tmp_path, machine).name == name


def test_unknown_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"profile 'auto': none for machine 'riscv64' \(known: "):
        detect_profile(tmp_path, "riscv64")


def test_auto_finds_this_machine() -> None:
    profile = load_profile("auto")
    assert isinstance(profile, DeviceProfile)
    assert profile == detect_profile()


def test_device_configs_imports_nothing_of_edge_pose() -> None:
    code = "import sys, device_configs; sys.exit(any('edge_pose' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
