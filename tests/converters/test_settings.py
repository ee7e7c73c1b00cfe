from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from converters import CONVERTERS, PRECISIONS, Entry
from converters.settings import ARITHMETIC, Settings, check_device, profile_settings
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.profile import load_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_has_a_converter(name: str) -> None:
    profile = load_profile(name)
    settings = profile_settings(profile)
    assert (settings.format, settings.precision) in CONVERTERS
    assert (settings.format, settings.precision) == (
        profile.runtime.format,
        profile.runtime.precision,
    )
    assert settings.arch == profile.arch
    assert settings.fold_pixels == profile.runtime.fold_pixels
    assert settings.integer_io == profile.runtime.integer_io
    assert settings.precisions == profile.precisions
    check_device(profile, settings)  # it runs what it asks for


def test_every_precision_needs_some_arithmetic() -> None:
    assert set(ARITHMETIC) == set(PRECISIONS)
    assert Settings().can_run("int4"), "without a profile nothing is known"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("coral_edge_tpu", {"precision": "fp32"}, "'fp32': the device computes in int8"),
        ("coral_edge_tpu", {"precision": "fp16"}, "'fp16': the device computes in int8"),
        ("coral_edge_tpu", {"format": "onnx"}, "'onnx': tflite reads tflite on EDGETPU"),
        ("coral_edge_tpu", {"integer_io": False}, "takes integer inputs and outputs only"),
        ("jetson_nano", {"precision": "int8"}, "'int8': the device computes in fp32, fp16"),
        ("intel_npu", {"precision": "fp32"}, "'fp32': the device computes in fp16, int8"),
        ("jetson_orin_nano", {"format": "openvino"}, "onnxruntime reads onnx on TENSORRT"),
        ("raspberry_pi_4", {"format": "onnx"}, ""),  # another runtime on the same processor
        ("raspberry_pi_4", {"precision": "fp16"}, ""),  # widened to fp32
        ("intel_npu", {"format": "onnx"}, ""),  # OpenVINO reads it
    ],
)
def test_what_a_device_cannot_run(name: str, change: dict[str, Any], message: str) -> None:
    profile = load_profile(name)
    settings = replace(profile_settings(profile), **change)
    if not message:
        check_device(profile, settings)
        return
    with pytest.raises(UsageError, match=message) as caught:
        check_device(profile, settings)
    assert str(caught.value).startswith(f"profile '{name}': ")


def test_a_combination_without_converter() -> None:
    with pytest.raises(UsageError, match="converter 'onnx int4': unknown, did you mean"):
        _ = Settings("int4").entry


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(ModuleNotFoundError):
        Entry("converters.onnx_fp17", calibrated=False).load()  # a bug of ours, no missing package
    with pytest.raises(EdgePoseError, match=r"no_such_package is not installed, pip install"):
        Entry("no_such_package.converter", calibrated=False).load()
