"""Profiles of one's own, right and wrong, and `edge-pose devices`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from click.testing import CliRunner, Result

import device_configs
from edge_pose.cli_devices import devices_command
from edge_pose.errors import ConfigError, UsageError
from edge_pose.profile import load_profile, profile_names
from edge_pose.profile_file import ProfileError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a shipped profile with changes."""

    def changed(*changes: tuple[str, str], name: str = "raspberry_pi_4") -> Path:
        text = device_configs.profile_path(name).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return changed


def devices(*arguments: object) -> Result:
    return CliRunner().invoke(devices_command, [str(a) for a in arguments], standalone_mode=False)


def test_profile_of_your_own(write: Write) -> None:
    file = write(("idle_w = 3.06", "idle_w = 2.0"))
    assert load_profile(str(file)).power.idle_w == 2.0


def test_a_profile_of_before_has_defaults(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    values = {
        "schema": "edge_pose.device/1",
        "name": "old",
        "arch": "x86_64",
        "precisions": ["fp32"],
        "runtime": {"backend": "onnxruntime"},
        "power": {"meter": "estimate", "idle_w": 1, "max_w": 2},
    }
    file.write_text(tomli_w.dumps(values))
    runtime = load_profile(str(file)).runtime
    assert (runtime.device, runtime.threads) == ("CPU", 0)
    assert (runtime.format, runtime.precision) == ("onnx", "fp32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cores", "coers"), "unknown key 'coers', did you mean 'cores'?"),
        (("idle_w", "idle"), "unknown key 'power.idle', did you mean 'idle_w'?"),
        (("cores = 4", "cores = 0"), "cores: Input should be greater than or equal to 1 (found 0)"),
        (("cores = 4", 'cores = "4"'), "cores: Input should be a valid integer (found '4')"),
        (("cores = 4", "cores = 4.0"), "cores: Input should be a valid integer (found 4.0)"),
        (("cores = 4", "cores = true"), "cores: Input should be a valid integer (found True)"),
        (("cores = 4", "cores = 2"), "runtime: threads 3: there are 2 cores"),
        (("max_w = 6.12", "max_w = 1"), "power.max_w: is below idle_w 3.06 (found 1"),
        (("max_w = 6.12", "max_w = inf"), "power.max_w: Input should be a finite number"),
        (("max_w = 6.12", "max_w = nan"), "power.max_w: Input should be a finite number"),
        (("max_w = 6.12", "max_w = 12000"), "power.max_w: Input should be less than or equal to"),
        (("max_w = 6.12", ""), "power.max_w: Field required"),
        (('"int8"]', '"int7"]'), "precisions.1: Input should be 'fp32', 'fp16', 'bf16' or 'int8'"),
        (('["fp32", "int8"]', "[]"), "precisions: expected one at least"),
        (('"fp32", "int8"', '"fp32"'), "runtime: precision 'int8': the device computes in fp32"),
        (('"tflite"', '"tfltie"'), "runtime.backend: backend 'tfltie': unknown, did you mean 'tfl"),
        (('"tflite"', '"onnxruntime"'), "runtime.format: onnxruntime reads onnx only (found 'tfl"),
        (('"CPU"', '"GPU"'), "runtime.device: expected a device of tflite: CPU, EDGETPU (found"),
        (('"CPU"', '"cpu"'), "runtime.device: expected a device of tflite: CPU, EDGETPU (found"),
        (("threads = 3", "threads = -1"), "runtime.threads: Input should be greater than or eq"),
        (("threads = 3", "thread = 3"), "unknown key 'runtime.thread', did you mean 'threads'?"),
        (('"estimate"', '"estimat"'), "power.meter: power meter 'estimat': unknown, did you mean"),
        (('sensor = "none"', 'sensor = "nvml"'), "power.sensor: Input should be 'ina3221', 'rapl'"),
        (("idle_w =", 'rails = ["A"]\nidle_w ='), "power.rails: need a sensor"),
        (("idle_w =", "modes_w = [9, 5]\nidle_w ="), "power.modes_w: expected ascending figures"),
        (("idle_w =", "budget_w = 0\nidle_w ="), "power.budget_w: Input should be greater than 0"),
        (("[power]", "[pwoer]"), "unknown key 'pwoer', did you mean 'power'?"),
        (("device/1", "device/9"), "schema is 'edge_pose.device/9', this version reads"),
        (("cores = 4", "cores 4"), "not valid TOML"),
    ],
)
def test_errors_are_one_line_with_file_and_key(
    write: Write, change: tuple[str, str], message: str
) -> None:
    file = write(change)
    with pytest.raises(ConfigError) as caught:
        load_profile(str(file))
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "coral_edge_tpu",
            ('precision = "int8"', 'precision = "dynamic_int8"'),
            "integer_io: need",
        ),
        (
            "intel_npu",
            ("AUTO:NPU,CPU", "AUTO:NPU CPU"),
            "runtime.device: device of openvino 'NPU C",
        ),
        ("intel_npu", ("AUTO:NPU,CPU", "AUTO:CPU,CPU"), "'AUTO:CPU,CPU': names a device twice"),
        ("jetson_nano", ('precision = "fp16"', 'precision = "int8"'), "computes in fp32, fp16"),
        ("jetson_agx_orin", ('"VDD_CPU_CV"', '"VDD_GPU_SOC"'), "rails: a rail is counted twice"),
        (
            "jetson_nano",
            ('"tensorrt"', '"tvm"'),
            "runtime.build_engine: Input should be 'tensorrt'",
        ),
    ],
)
def test_rules_of_accelerators(
    write: Write, name: str, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile(str(write(change, name=name)))
    assert message in str(caught.value)


def test_openvino_devices(write: Write) -> None:
    for device in ("CPU", "GPU.1", "NPU", "AUTO", "AUTO:GPU.0,CPU", "HETERO:NPU,CPU"):
        file = write(('device = "AUTO:NPU,CPU"', f'device = "{device}"'), name="intel_npu")
        assert load_profile(str(file)).runtime.device == device


MISTAKES = (("cores = 4", "coers = 4"), ("threads = 3", "threads = -3"), ("idle_w", "idle"))
LINES = (
    "unknown key 'coers', did you mean 'cores'? (known: name, ",
    "unknown key 'power.idle', did you mean 'idle_w'? (known: meter, ",
    "runtime.threads: Input should be greater than or equal to 0 (found -3)",
)


def test_all_mistakes_are_told_each_once(write: Write) -> None:
    file = write(*MISTAKES)
    with pytest.raises(ProfileError) as caught:
        load_profile(str(file))
    lines = caught.value.lines
    assert len(lines) == len(LINES)  # that idle_w is missing is no mistake of its own
    for line, expected in zip(lines, LINES, strict=True):
        assert line.startswith(f"{file}: {expected}")
        assert "\n" not in line
    told = str(caught.value)
    assert told.count(str(file)) == 1
    assert all(expected in told for expected in LINES)


def test_check_prints_a_line_for_each(write: Write, tmp_path: Path) -> None:
    file, missing = write(*MISTAKES), tmp_path / "none.toml"
    sound = device_configs.profile_path("intel_npu")
    done = devices("--check", file, "--check", missing, "--check", sound)
    assert done.return_value == 2
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(file)] * 3 + [str(missing)]
    assert done.stdout == f"{sound}: in order\n"
    told = json.loads(devices("--check", file, "--check", sound, "--json").stdout)
    assert told == {str(file): lines[:3], str(sound): []}
    assert devices("--check", sound).return_value == 0


def test_the_list() -> None:
    lines = devices().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(profile_names())
    npu = next(line for line in lines if line.startswith("intel_npu"))
    assert npu.endswith("openvino int8, openvino on AUTO:NPU,CPU")
    rows = json.loads(devices("--json").stdout)
    assert [row["name"] for row in rows] == list(profile_names())
    assert rows[0]["runtime"]["format"] == "tflite"


def test_one_is_shown_with_its_sources(write: Write) -> None:
    shown = devices("jetson_nano").stdout
    assert shown == device_configs.profile_path("jetson_nano").read_text(encoding="utf-8")
    assert json.loads(devices("jetson_nano", "--json").stdout)["power"]["rails"] == ["POM_5V_IN"]
    mine = write(("idle_w = 3.06", "idle_w = 2.0"))
    assert "idle_w = 2.0" in devices(mine).stdout
    assert json.loads(devices("auto", "--json").stdout)["name"] == load_profile("auto").name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jetson_nan"], "did you mean 'jetson_nano'?"),
        (["jetson_nano", "--detect"], "exclude each other"),
        (["jetson_nano", "--check", "x.toml"], "exclude each other"),
        (["--root", "/"], "--root needs --detect"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    error = devices(*arguments).exception
    assert isinstance(error, UsageError)
    assert message in str(error)
