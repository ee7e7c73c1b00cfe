"""What only OpenVINO does: its IR, its devices, its compile cache, its ways to refuse."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import openvino as backend
from edge_pose.backends.base import BackendOptions
from edge_pose.backends.openvino_devices import check_running, members, present, properties
from edge_pose.errors import ArtifactError, BackendError, UsageError
from edge_pose.types import FloatArray

NO_NPU = "NPU is not there, OpenVINO finds only CPU"


@pytest.fixture(scope="module")
def onnx_artifact(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Artifact:
    need("openvino")
    return load_artifact(tiny_artifact)


@pytest.fixture(scope="module")
def artifact(onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny artifact as IR."""
    return as_ir(onnx_artifact, tmp_path_factory.mktemp("ir"))


def as_ir(
    artifact: Artifact, folder: Path, change: Callable[[Any], None] = lambda _: None
) -> Artifact:
    import openvino as ov

    (folder / "model.onnx").write_bytes(artifact.model)
    model = ov.Core().read_model(folder / "model.onnx")
    change(model)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    file = artifact.manifest.file.model_copy(update={"format": "openvino", "name": "model.xml"})
    return replace(
        artifact,
        manifest=artifact.manifest.model_copy(update={"file": file}),
        model=(folder / "model.xml").read_bytes(),
        weights=(folder / "model.bin").read_bytes(),
    )


def with_input(artifact: Artifact, **update: object) -> Artifact:
    declared = artifact.manifest.input.model_copy(update=update)
    return replace(artifact, manifest=artifact.manifest.model_copy(update={"input": declared}))


@pytest.fixture
def tensor() -> FloatArray:
    return np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)


def refusal(artifact: Artifact, kind: type[Exception] = BackendError) -> str:
    with pytest.raises(kind) as caught:
        backend.load(artifact, BackendOptions())
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{artifact.folder}: ")


def test_ir_gives_what_onnx_gives(
    artifact: Artifact, onnx_artifact: Artifact, tensor: FloatArray
) -> None:
    (ours,) = backend.load(artifact, BackendOptions()).run(tensor)
    (theirs,) = backend.load(onnx_artifact, BackendOptions()).run(tensor)
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_results_stay_valid(artifact: Artifact, tensor: FloatArray) -> None:
    running = backend.load(artifact, BackendOptions())
    (first,) = running.run(tensor)
    kept = first.copy()
    running.run(-tensor)
    running.close()
    assert np.array_equal(first, kept)


def test_threads_and_float32_are_what_was_asked_for(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = backend.OpenVinoBackend

    def spy(compiled: Any, *rest: Any) -> backend.OpenVinoBackend:
        seen.append(compiled)
        return original(compiled, *rest)

    monkeypatch.setattr(backend, "OpenVinoBackend", spy)
    backend.load(artifact, BackendOptions(threads=2))
    assert seen[0].get_property("INFERENCE_NUM_THREADS") == 2
    assert "float32" in str(seen[0].get_property("INFERENCE_PRECISION_HINT"))


@pytest.mark.parametrize(
    "device",
    ["CUDA", "GPU.", "GPU.X", "AUTO:", "AUTO:NPU,", "AUTO:CUDA,CPU", "HETERO", "MULTI:CPU", ""],
)
def test_an_unknown_device_is_a_usage_error(artifact: Artifact, device: str) -> None:
    with pytest.raises(UsageError, match=r"unknown.* \(known: CPU, GPU, GPU\.n, NPU, AUTO"):
        backend.load(artifact, BackendOptions(device=device))


def test_a_device_twice_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="names a device twice"):
        members("AUTO:CPU,CPU")


@pytest.mark.parametrize("device", ["CPU", "AUTO", "AUTO:CPU,NPU", "AUTO:CPU", "HETERO:CPU"])
def test_the_device_that_really_runs_is_named(
    artifact: Artifact, tensor: FloatArray, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    running = backend.load(artifact, BackendOptions(device=device, strict=True))
    (found,) = running.run(tensor)
    (expected,) = backend.load(artifact, BackendOptions()).run(tensor)
    assert running.device == "CPU"
    assert np.array_equal(found, expected)
    assert not caplog.records


@pytest.mark.parametrize("device", ["NPU", "AUTO:NPU", "AUTO:NPU,CPU", "HETERO:NPU,CPU"])
def test_a_device_that_is_not_there(
    artifact: Artifact, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BackendError, match=f"{device} cannot be used: {NO_NPU}; leave out"):
        backend.load(artifact, BackendOptions(device=device, strict=True))
    assert backend.load(artifact, BackendOptions(device=device)).device == "CPU"
    assert f"{device} cannot be used: {NO_NPU}; running on the CPU instead" in caplog.text


def test_a_device_that_cannot_compile(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backend, "present", lambda device, *_: device)  # but its driver is missing
    assert backend.load(artifact, BackendOptions(device="NPU")).device == "CPU"
    (record,) = caplog.records
    assert "NPU cannot be used: OpenVINO refuses it: " in record.message
    assert "\n" not in record.message
    with pytest.raises(BackendError, match="NPU cannot be used"):
        backend.load(artifact, BackendOptions(device="NPU", strict=True))


def test_where_devices_are_there() -> None:
    here, options = ["CPU", "GPU.0", "GPU.1", "NPU"], BackendOptions(strict=True)
    for device in ("CPU", "GPU", "GPU.1", "NPU", "AUTO:NPU,CPU", "HETERO:GPU.0,CPU", "AUTO"):
        assert present(device, options, here) == device
    assert present("AUTO:GPU,NPU,CPU", options, ["CPU", "GPU"]) == "AUTO:GPU,CPU"
    with pytest.raises(BackendError, match=r"GPU\.2 is not there"):
        present("GPU.2", replace(options, device="GPU.2"), here)


def test_the_first_of_a_list_is_missed(caplog: pytest.LogCaptureFixture) -> None:
    options = BackendOptions(device="AUTO:NPU,GPU,CPU")
    here = ["CPU", "GPU"]
    assert present(options.device, options, here) == "AUTO:GPU,CPU"
    (message,) = caplog.messages
    assert message == (
        "openvino: AUTO:NPU,GPU,CPU cannot be used: NPU is not there, OpenVINO finds only CPU,"
        " GPU; running on GPU instead"
    )
    with pytest.raises(BackendError, match="leave out --strict to run on GPU instead"):
        present(options.device, replace(options, strict=True), here)


def test_the_first_of_a_list_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    options = BackendOptions(device="AUTO:NPU,CPU")
    for device, running in (("AUTO:NPU,CPU", "NPU"), ("AUTO:GPU,CPU", "GPU.0"), ("AUTO", "CPU")):
        check_running(device, [running], options)
    assert caplog.messages == []
    check_running(options.device, ["CPU"], options)
    assert "OpenVINO passed over NPU; running on CPU instead" in caplog.text
    with pytest.raises(BackendError, match="OpenVINO passed over NPU"):
        check_running(options.device, ["CPU"], replace(options, strict=True))


def test_each_device_gets_its_own_settings() -> None:
    here = ["CPU", "GPU", "NPU"]
    half, full = {"INFERENCE_PRECISION_HINT": "f16"}, properties("CPU", 2, here)
    assert full.pop("PERFORMANCE_HINT") == "LATENCY"
    assert full["INFERENCE_PRECISION_HINT"] == "f32"
    assert properties("NPU", 2, here) == {"PERFORMANCE_HINT": "LATENCY", **half}
    listed = properties("AUTO:NPU,CPU", 2, here)["DEVICE_PROPERTIES"]
    assert listed == {"NPU": half, "CPU": full}
    assert properties("AUTO:NPU,CPU", 2, ["CPU"])["DEVICE_PROPERTIES"] == {"CPU": full}
    assert set(properties("AUTO", 2, here)["DEVICE_PROPERTIES"]) == set(here)


def test_what_was_compiled_is_kept(artifact: Artifact, tensor: FloatArray, tmp_path: Path) -> None:
    options = BackendOptions(cache=tmp_path / "a" / "cache")
    (first,) = backend.load(artifact, options).run(tensor)
    (blob,) = options.cache.rglob("*.blob")
    (again,) = backend.load(artifact, options).run(tensor)
    assert np.array_equal(first, again)
    blob.write_bytes(blob.read_bytes()[:100])
    (anew,) = backend.load(artifact, options).run(tensor)
    assert np.array_equal(first, anew)


def test_a_cache_that_cannot_be_written_is_a_warning(
    artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    running = backend.load(artifact, BackendOptions(cache=tmp_path / "file" / "cache"))
    assert running.device == "CPU"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be written" in caplog.text


def test_pixels_go_in_as_they_are(artifact: Artifact, tmp_path: Path) -> None:
    running = backend.load(uint8_artifact(artifact, tmp_path), BackendOptions())
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 64, 64), np.uint8)
    (found,) = running.run(pixels)
    (expected,) = backend.load(artifact, BackendOptions()).run(pixels.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(BackendError, match=r"float32, expected \(1, 3, 64, 64\) uint8"):
        running.run(pixels.astype(np.float32))


def uint8_artifact(artifact: Artifact, folder: Path, kind: str = "u8") -> Artifact:
    """The same network with integer input."""
    import openvino as ov

    processor = ov.preprocess.PrePostProcessor(
        ov.Core().read_model(artifact.model, artifact.weights)
    )
    processor.input().tensor().set_element_type(getattr(ov.Type, kind))
    ov.save_model(processor.build(), folder / "model.xml", compress_to_fp16=False)
    changed = with_input(artifact, dtype="uint8" if kind == "u8" else "int8")
    model, weights = (folder / "model.xml").read_bytes(), (folder / "model.bin").read_bytes()
    return replace(changed, model=model, weights=weights)


def test_signed_input_stores_pixels_by_its_scale(artifact: Artifact, tmp_path: Path) -> None:
    whole = (128.0,) * 3
    signed = uint8_artifact(artifact, tmp_path, "i8")
    signed = with_input(signed, mean=whole, std=whole)
    message = "its quantization, mean and std have to be the same"
    assert message in refusal(signed)
    quantization = {"scale": 1 / 128, "zero_point": 0}
    declared = type(signed.manifest.input).model_validate(
        {**signed.manifest.input.model_dump(), "quantization": quantization}
    )
    manifest = signed.manifest.model_copy(update={"input": declared})
    running = backend.load(replace(signed, manifest=manifest), BackendOptions())
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, 64, 64), np.uint8)
    (found,) = running.run(pixels)
    reference = backend.load(artifact, BackendOptions())
    (expected,) = reference.run(pixels.astype(np.float32) - 128)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_refused(artifact: Artifact) -> None:
    running = backend.load(artifact, BackendOptions())
    for wrong in (np.zeros((1, 3, 32, 64), np.float32), np.zeros((1, 3, 64, 64), np.uint8)):
        with pytest.raises(BackendError, match=re.escape(f"input {wrong.shape} refused")):
            running.run(wrong)


@pytest.mark.parametrize("cut", [0, 10])
def test_missing_or_short_weights(artifact: Artifact, cut: int) -> None:
    short = replace(artifact, weights=artifact.weights[:cut] if cut else None)
    assert refusal(short) == (
        "OpenVINO refuses it: weights are missing, the file for them is too short"
    )


def test_weights_beyond_their_file(artifact: Artifact) -> None:
    outside = re.sub(rb'offset="\d+"', b'offset="999999999"', artifact.model)
    assert "weights are missing" in refusal(replace(artifact, model=outside))


def test_damaged_xml(artifact: Artifact) -> None:
    cut = artifact.model[: len(artifact.model) // 2]
    assert refusal(replace(artifact, model=cut)).startswith("OpenVINO refuses it: ")


def test_another_format_under_the_name_of_ir(artifact: Artifact, onnx_artifact: Artifact) -> None:
    """It could refer to other files."""
    message = refusal(replace(artifact, model=onnx_artifact.model))
    assert message.endswith("OpenVINO refuses it: no XML")


@pytest.mark.parametrize("opset", ["custom", "opset1"])
def test_an_operator_of_ir_that_is_not_there(artifact: Artifact, opset: str) -> None:
    wobble = f'type="Wobble" version="{opset}"'.encode()
    changed = re.sub(rb'type="Convolution" version="opset1"', wobble, artifact.model)
    assert re.fullmatch(
        r"OpenVINO [\d.]+ lacks the operator Wobble", refusal(replace(artifact, model=changed))
    )


def test_an_operator_of_onnx_that_is_not_there(
    onnx_artifact: Artifact, need: Callable[[str], ModuleType]
) -> None:
    onnx = need("onnx")
    model = onnx.load_from_string(onnx_artifact.model)
    model.graph.node[0].op_type, model.graph.node[0].domain = "Wobble", "my"
    model.opset_import.add().domain = "my"
    changed = replace(onnx_artifact, model=model.SerializeToString())
    assert re.fullmatch(r"OpenVINO [\d.]+ lacks the operator my\.Wobble", refusal(changed))


def test_a_graph_of_onnx_that_contradicts_itself(
    onnx_artifact: Artifact, need: Callable[[str], ModuleType]
) -> None:
    onnx = need("onnx")
    model = onnx.load_from_string(onnx_artifact.model)
    shape = onnx.numpy_helper.from_array(np.array([7, -1], np.int64), "seven")
    model.graph.initializer.append(shape)
    node = onnx.helper.make_node("Reshape", ["image", "seven"], ["odd"])
    model.graph.node.insert(0, node)
    model.graph.node[1].input[0] = "odd"
    message = refusal(replace(onnx_artifact, model=model.SerializeToString()))
    assert message.startswith("OpenVINO refuses it: Non-'-1' output dimensions do not evenly")


def test_weights_of_onnx_in_another_file(
    onnx_artifact: Artifact, need: Callable[[str], ModuleType]
) -> None:
    onnx = need("onnx")
    model = onnx.load_from_string(onnx_artifact.model)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret")
    model.graph.initializer[0].ClearField("raw_data")
    changed = replace(onnx_artifact, model=model.SerializeToString())
    assert "lies in another file, '../secret'" in refusal(changed, ArtifactError)


def test_a_graph_of_open_shape(onnx_artifact: Artifact, tmp_path: Path) -> None:
    changed = as_ir(onnx_artifact, tmp_path, lambda model: model.reshape([-1, 3, 64, 64]))
    assert refusal(changed) == "the graph has shapes that are not fixed"


def test_another_name_in_the_manifest(artifact: Artifact) -> None:
    message = refusal(with_input(artifact, name="pixels"))
    assert message.startswith("the graph has inputs ['image [1, 3, 64, 64] float32']")


def test_outputs_that_it_does_not_read(artifact: Artifact) -> None:
    output = artifact.manifest.outputs[0].model_copy(update={"dtype": "int8"})
    manifest = artifact.manifest.model_copy(update={"outputs": (output,)})
    assert "is int8 nkhw" in refusal(replace(artifact, manifest=manifest))


def test_nothing_calls_home(tmp_path: Path, need: Callable[[str], ModuleType]) -> None:
    """OpenVINO and NNCF report their use over the network unless they are kept from it."""
    need("openvino")
    code = (
        "from edge_pose.backends.openvino import import_openvino; import_openvino()\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("telemetry_stub")
    assert list(tmp_path.iterdir()) == []  # no client id was made


def test_signals_are_heard_after_two_models_were_closed(
    onnx_artifact: Artifact, tiny_artifact: Path
) -> None:
    program = """
import gc, signal, sys
from edge_pose.artifact import load_artifact
from edge_pose.backends import open_backend

artifact = load_artifact(sys.argv[1], trust_ungated=True)
models = [open_backend(artifact, "openvino") for _ in range(2)]
while models:
    models.pop(0).close()
    gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""
    command = [sys.executable, "-c", program, str(tiny_artifact)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("heard\n", 0), done.stderr
