"""Who decides about runtime, device and threads: wish, device profile, artifact, in this order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_pose.artifact import read_manifest
from edge_pose.backends import available_cores
from edge_pose.backends.choice import Choice, choose
from edge_pose.errors import UsageError
from edge_pose.manifest import Manifest
from edge_pose.profile import DeviceProfile, load_profile

FREE = max(1, available_cores() - 1)  # threads that leave one core to capture


@pytest.fixture
def manifest(tiny_artifact: Path) -> Manifest:
    """An ONNX artifact that was made for onnxruntime."""
    return read_manifest(tiny_artifact)


def profile(**runtime: object) -> DeviceProfile:
    """Return the profile of a device with this runtime."""
    generic = load_profile("generic_x86_64")
    changed = generic.runtime.model_copy(update={"threads": 0, "device": "CPU", **runtime})
    return generic.model_copy(update={"name": "board", "runtime": changed})


def parts(choice: Choice) -> tuple[str, str, int]:
    return choice.backend, choice.device, choice.threads


def test_a_wish_is_stronger_than_the_profile(manifest: Manifest) -> None:
    board = profile(backend="openvino", device="GPU", threads=3)
    choice = choose(manifest, board, backend="onnxruntime", device="cuda", threads=2)
    assert parts(choice) == ("onnxruntime", "cuda", 2)
    assert set(choice.reasons.values()) == {"asked for"}


def test_the_profile_is_stronger_than_the_artifact(manifest: Manifest) -> None:
    choice = choose(manifest, profile(backend="openvino", device="AUTO:NPU,CPU", threads=3))
    assert parts(choice) == ("openvino", "AUTO:NPU,CPU", 3)
    assert str(choice) == (
        "backend openvino (profile board), device AUTO:NPU,CPU (profile board),"
        " threads 3 (profile board)"
    )


def test_without_any_word_about_threads_one_core_stays_free(manifest: Manifest) -> None:
    choice = choose(manifest, profile(backend="onnxruntime"))
    assert parts(choice) == ("onnxruntime", "CPU", FREE)
    assert choice.reasons["threads"] == "one core stays free"


def test_devices_of_one_runtime_are_nothing_to_another(manifest: Manifest) -> None:
    board = profile(backend="openvino", device="GPU", threads=3)
    assert parts(choose(manifest, board, backend="onnxruntime")) == ("onnxruntime", "CPU", 3)
    assert parts(choose(manifest, board, backend="openvino")) == ("openvino", "GPU", 3)


def test_a_runtime_that_cannot_read_the_artifact_is_passed_over(manifest: Manifest) -> None:
    choice = choose(manifest, profile(backend="tflite", device="EDGETPU"))
    assert parts(choice) == ("onnxruntime", "CPU", FREE)
    reason = "the artifact's own; profile board has tflite, which does not read onnx"
    assert choice.reasons["backend"] == reason


def test_so_is_one_that_is_not_installed_unless_strict(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    board = profile(backend="openvino", device="GPU")
    choice = choose(manifest, board)
    assert parts(choice) == ("onnxruntime", "CPU", FREE)
    assert choice.reasons["backend"].endswith("has openvino, which is not installed")
    assert parts(choose(manifest, board, strict=True)) == ("openvino", "GPU", FREE)
    # What was asked for is not replaced.
    assert choose(manifest, profile(), backend="openvino").backend == "openvino"


def test_a_profile_may_name_what_this_version_does_not_have(manifest: Manifest) -> None:
    choice = choose(manifest, profile(backend="hexagon"))
    assert parts(choice) == ("onnxruntime", "CPU", FREE)
    assert choice.reasons["backend"].endswith("has hexagon, which is unknown here")


def test_an_unknown_wish_is_refused(manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="backend 'openvno': unknown, did you mean 'openvino'"):
        choose(manifest, profile(), backend="openvno")
