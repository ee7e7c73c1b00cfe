"""What a device accepts as a model, and the one line with which it refuses the rest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edge_pose
from edge_pose.artifact import load_artifact, read_manifest, write_manifest
from edge_pose.backends import MODULES
from edge_pose.errors import ArtifactError, BackendError, UsageError
from edge_pose.models import DEFAULT, shipped


def refusal(folder: Path, error: type[Exception] = ArtifactError, **options: Any) -> str:
    """Return the message of the refusal, which must be one line."""
    with pytest.raises(error) as caught:
        edge_pose.load(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_artifact_is_loaded_whole(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    assert artifact.folder == tiny_artifact
    assert artifact.model == (tiny_artifact / "model.onnx").read_bytes()
    spec = artifact.manifest.input.spec
    assert (spec.size, spec.color, spec.std) == ((64, 64), "rgb", (255.0, 255.0, 255.0))
    assert artifact.manifest.keypoint_format.format == edge_pose_format()


def edge_pose_format() -> object:
    from edge_pose.skeleton import MPII16

    return MPII16


def test_a_manifest_survives_writing_and_reading(tiny_artifact: Path, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    written = (tmp_path / "manifest.json").read_bytes()
    assert written == (tiny_artifact / "manifest.json").read_bytes()
    assert written.endswith(b"}\n")
    assert json.loads(written)["schema"] == "edge_pose.artifact/1"


def test_a_changed_model_file_is_refused_before_a_parser_sees_it(artifact_copy: Any) -> None:
    data = bytearray(artifact_copy.model.read_bytes())
    data[len(data) // 2] ^= 1
    artifact_copy.replace_model(bytes(data), rehash=False)
    message = refusal(artifact_copy.folder)
    assert "SHA-256" in message
    assert str(artifact_copy.model) in message
    # Not even with --trust-ungated.
    assert "SHA-256" in refusal(artifact_copy.folder, trust_ungated=True)


def test_a_file_of_another_size_or_kind_is_not_read(artifact_copy: Any) -> None:
    size = artifact_copy.model.stat().st_size
    with artifact_copy.model.open("ab") as file:
        file.truncate(1 << 40)  # a terabyte of zeros that takes no place
    message = refusal(artifact_copy.folder)
    assert f"model.onnx: {1 << 40} bytes, the manifest says {size}: " in message
    artifact_copy.model.unlink()
    os.mkfifo(artifact_copy.model)
    assert "model.onnx: is no plain file" in refusal(artifact_copy.folder)


@pytest.mark.parametrize("text", ["\x1b[2J", "two\nlines", "\x9b31m", "\u202e", "\u2028"])
@pytest.mark.parametrize("key", ["name", "gate.metric", "keypoint_format.name"])
def test_control_characters_are_refused(artifact_copy: Any, key: str, text: str) -> None:
    artifact_copy.set(key, text)
    message = refusal(artifact_copy.folder)
    assert f"{text!r}: no control or invisible characters" in message
    assert message.isprintable()


def test_letters_and_spaces_of_any_language_are_welcome(artifact_copy: Any) -> None:
    name = "Caméra\u00a0de l’entrée\u3000玄関 🙂"
    artifact_copy.set("name", name)
    assert load_artifact(artifact_copy.folder).manifest.name == name


def test_a_key_that_is_there_twice(artifact_copy: Any) -> None:
    text = artifact_copy.manifest.read_text("utf-8")
    artifact_copy.manifest.write_text(
        text.replace('"name":', '"name": "other", "name":', 1), "utf-8"
    )
    assert "not valid JSON: 'name' is there twice" in refusal(artifact_copy.folder)


@pytest.mark.parametrize("schema", ["edge_pose.artifact/3", None, 7, ["edge_pose.artifact/1"]])
def test_an_unknown_schema(artifact_copy: Any, schema: object) -> None:
    artifact_copy.set("schema", schema)
    message = refusal(artifact_copy.folder)
    assert repr(schema) in message
    assert "expected 'edge_pose.artifact/2'" in message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("decoder", None, "decoder: Field required"),
        ("input.std", None, "input.std: Field required"),
        ("input.std", [1, 0, 1], "input.std.1: Input should be greater than or equal to"),
        ("input.size", [64, 0], "input.size.1: Input should be greater than or equal to 1"),
        ("input.std", [1, 1, float("inf")], "manifest.json: not valid JSON: Infinity is not a fin"),
        ("input.mean", [float("nan")] * 3, "manifest.json: not valid JSON: NaN is not a finite"),
        ("gate.artifact_accuracy", float("nan"), "manifest.json: not valid JSON: NaN is not"),
        ("input.size", [64, 10**9], "input.size.1: Input should be less than or equal to 16384"),
        ("outputs.0.shape", [1, 16, 10**9, 1], "outputs.0.shape.2: Input should be less than or"),
        ("input.mean", [1e30, 0, 0], "input.mean.0: Input should be less than or equal to"),
        ("keypoint_format.sigmas", [0] * 16, "keypoint_format.sigmas.0: Input should be greater"),
        ("input.size", ["64", 64], "input.size.0: Input should be a valid integer (found '64')"),
        ("gate.passed", "yes", "gate.passed: Input should be a valid boolean (found 'yes')"),
        ("file.size_bytes", True, "file.size_bytes: Input should be a valid integer (found True)"),
        ("input.color", "hsv", "input.color: Input should be 'rgb' or 'bgr'"),
        ("task", "bottom_up", "decoder heatmap is for top_down, the task is bottom_up"),
        ("file.sha256", "1234", "file.sha256: "),
        ("file.name", "../model.onnx", "file.name: "),
        ("outputs", [], "outputs: "),
        ("outputs.0.shape", [1, 17, 16, 16], "output shape [1, 17, 16, 16] (nkhw) does not fit 16"),
        ("keypoint_format.sigmas", [0.1], "keypoint_format: 1 sigmas for 16 keypoints"),
        ("keypoint_format.edges", [[0, 16]], "keypoint_format: flip_pairs or edges name keypoint"),
        ("note", "hello", "note: Extra inputs are not permitted"),
    ],
)
def test_a_manifest_with_a_wrong_field(
    artifact_copy: Any, key: str, value: object, expected: str
) -> None:
    artifact_copy.set(key, value)
    message = refusal(artifact_copy.folder)
    assert message.startswith(str(artifact_copy.manifest))
    assert expected in message


@pytest.mark.parametrize("key", ["input.mean.0", "gate.artifact_accuracy", "origin.recipe"])
def test_a_number_too_large_for_any_float(artifact_copy: Any, key: str) -> None:
    """JSON has no word for infinity, but digits enough."""
    *tables, name = key.split(".")
    values = json.loads(artifact_copy.manifest.read_text("utf-8"))
    table = values
    for part in tables:
        table = table[part]
    table[int(name) if name.isdigit() else name] = "HUGE"
    text = json.dumps(values).replace('"HUGE"', "-1e999")
    artifact_copy.manifest.write_text(text, "utf-8")
    assert "not valid JSON: -1e999 is not a finite number" in refusal(artifact_copy.folder)


def test_what_is_no_number_is_not_written(tiny_artifact: Path, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    origin = manifest.origin.model_copy(update={"recipe": {"rate": float("nan")}})
    with pytest.raises(ArtifactError, match="cannot be written: Out of range float") as caught:
        write_manifest(tmp_path, manifest.model_copy(update={"origin": origin}))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1, 2]", b"null"])
def test_a_manifest_that_is_no_manifest(artifact_copy: Any, text: bytes) -> None:
    artifact_copy.manifest.write_bytes(text)
    assert "manifest.json: " in refusal(artifact_copy.folder)


def test_an_artifact_without_or_with_a_failed_gate_needs_trust(artifact_copy: Any) -> None:
    artifact_copy.set("gate.passed", False)
    assert "failed its accuracy gate" in refusal(artifact_copy.folder)
    artifact_copy.set("gate", None)
    message = refusal(artifact_copy.folder)
    assert "has no gate report" in message
    assert "--trust-ungated" in message
    with edge_pose.load(artifact_copy.folder, trust_ungated=True) as estimator:
        assert estimator.manifest.gate is None


def test_missing_files(artifact_copy: Any) -> None:
    artifact_copy.model.unlink()
    assert "model.onnx: cannot be read: No such file" in refusal(artifact_copy.folder)
    artifact_copy.manifest.unlink()
    assert "manifest.json: cannot be read: No such file" in refusal(artifact_copy.folder)


def test_a_name_that_is_not_shipped(tmp_path: Path) -> None:
    message = refusal(Path("hourglas_lite"))
    assert "neither a shipped model nor a folder" in message
    file = tmp_path / "model.onnx"
    file.touch()
    assert "a file" in refusal(file)


@pytest.mark.parametrize("keep", [1, 200])
def test_a_model_that_the_runtime_cannot_parse(
    artifact_copy: Any, keep: int, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact_copy.replace_model(artifact_copy.model.read_bytes()[:keep])
    message = refusal(artifact_copy.folder, BackendError)
    assert "refuses it: " in message
    assert str(artifact_copy.folder) in message
    assert capfd.readouterr() == ("", "")  # the runtime's own log stays off the terminal


@pytest.mark.parametrize("key", ["input.name", "outputs.0.name"])
def test_other_tensor_names_than_the_graph_has(artifact_copy: Any, key: str) -> None:
    artifact_copy.set(key, "something")
    message = refusal(artifact_copy.folder, BackendError)
    assert "something" in message
    assert (
        "the graph has inputs ['image [1, 3, 64, 64] float32'] and outputs ['heatmaps " in message
    )


def test_another_input_size_than_the_graph_has(artifact_copy: Any) -> None:
    artifact_copy.set("input.size", [32, 32])
    assert "['image [1, 3, 32, 32] float32']" in refusal(artifact_copy.folder, BackendError)


def test_a_backend_that_is_unknown_or_does_not_fit(artifact_copy: Any) -> None:
    message = refusal(artifact_copy.folder, UsageError, backend="onnxrutime")
    assert "did you mean 'onnxruntime'?" in message
    artifact_copy.set("file.format", "tflite")
    assert "expected onnx" in refusal(artifact_copy.folder, BackendError)


def test_a_missing_runtime_says_what_to_install(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnxruntime", "openvino"):  # either reads it
        monkeypatch.setitem(sys.modules, module, None)
    assert "pip install 'edge-pose[onnx]'" in refusal(tiny_artifact, BackendError)


def test_the_default_is_shipped() -> None:
    assert shipped()["default"] == shipped()[DEFAULT]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_artifact_is_sound(name: str, need: Callable[[str], object]) -> None:
    artifact = load_artifact(name)
    file, gate = artifact.manifest.file, artifact.manifest.gate
    assert artifact.manifest.name == artifact.folder.name
    assert gate is not None
    assert gate.n_persons >= 100
    assert file.size_bytes == len(artifact.model)
    need(MODULES[file.backend][0])
    detects = artifact.manifest.task == "detector"
    with edge_pose.load_detector(name) if detects else edge_pose.load(name) as loaded:
        loaded.warm_up()
