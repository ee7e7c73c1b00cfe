"""The arm64 wheels run our artifacts and find the same keypoints, see tests/emulation/arm64.py.

Skipped where the emulator or the packages for arm64 cannot be had.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from converters import CONVERTERS
from converters.base import Options
from converters.calibration import CalibrationSet
from converters.folder import write_artifact
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.types import Image
from training.checkpoint import load_checkpoint, sha256_file

SCRIPT = Path(__file__).parents[1] / "emulation/arm64.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arm64_emulation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


arm64 = _load()


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    try:
        return arm64.prepare(tmp_path_factory.mktemp("arm64"))
    except arm64.UnavailableError as error:
        pytest.skip(f"arm64 emulation: {error}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    arm64.write_pictures(folder)
    assert len(list(folder.glob("*.png"))) == 3
    return folder


@pytest.mark.parametrize("cpu", ["cortex-a72", "cortex-a76"])
def test_the_shipped_default_gives_the_same_keypoints(arm: Any, pictures: Path, cpu: str) -> None:
    row = arm64.compare(arm, "default", pictures, cpu)
    assert row["machine"] == "aarch64"
    assert row["keypoints"] == 48
    assert row["median_px"] < 0.1


@pytest.mark.parametrize(
    ("key", "cpu", "limit_px"),
    [
        (("onnx", "fp32"), "cortex-a72", 0.01),
        (("onnx", "int8"), "cortex-a72", 0.5),  # S8S8, as a board gets it
        (("onnx", "int8"), "cortex-a76", 0.5),
        (("tflite", "fp32"), "cortex-a72", 0.01),
        (("tflite", "int8"), "cortex-a72", 0.5),
    ],
    ids=str,
)
def test_artifacts_of_both_runtimes_agree(
    arm: Any,
    pictures: Path,
    need: Callable[[str], ModuleType],
    checkpoint: Path,
    crops: Image,
    tmp_path: Path,
    key: tuple[str, str],
    cpu: str,
    limit_px: float,
) -> None:
    if key[0] == "tflite":
        need("litert_torch")
    model, info = load_checkpoint(checkpoint)
    calibration = CalibrationSet("drawn", crops)
    converted = CONVERTERS[key].load()(model, info, calibration, Options(arch="aarch64"))
    manifest = describe(model, info, sha256_file(checkpoint), converted, calibration)
    folder = tmp_path / "artifact"
    write_artifact(Artifact(folder, manifest, converted.model, converted.weights))
    row = arm64.compare(arm, str(folder), pictures, cpu)
    assert (row["machine"], row["precision"]) == ("aarch64", key[1])
    assert row["median_px"] <= limit_px


def test_missing_emulator_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(arm64.UnavailableError, match="qemu-aarch64-static: not installed"):
        arm64.prepare(tmp_path)
