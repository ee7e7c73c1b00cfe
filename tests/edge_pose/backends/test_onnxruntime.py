"""Devices of ONNX Runtime, and files that it must not be given."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import onnxruntime as backend_module
from edge_pose.backends import open_backend
from edge_pose.backends.base import BackendOptions
from edge_pose.backends.onnx_scan import refuse_foreign_parts
from edge_pose.errors import ArtifactError, BackendError, UsageError

IMAGE = np.zeros((1, 3, 64, 64), np.float32)


@pytest.fixture
def artifact(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Artifact:
    need("onnxruntime")
    return load_artifact(tiny_artifact)


@pytest.fixture
def onnx(need: Callable[[str], ModuleType]) -> ModuleType:
    return need("onnx")


@pytest.mark.parametrize("device", ["CUDA", "TENSORRT"])
def test_a_device_that_is_not_there_is_the_cpu_with_a_warning(
    artifact: Artifact, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        backend = open_backend(artifact, "onnxruntime", device=device.lower())
    assert backend.device == "CPU"
    (warning,) = caplog.messages
    assert warning.startswith(
        f"onnxruntime: {device} cannot be used: this build of ONNX Runtime has only "
    )
    assert warning.endswith("CPUExecutionProvider; running on the CPU instead")
    assert backend.run(IMAGE)[0].shape == (1, 16, 16, 16)


def test_strictly_it_is_an_error(artifact: Artifact) -> None:
    with pytest.raises(BackendError, match=r"TENSORRT cannot be used: .*leave out --strict"):
        open_backend(artifact, "onnxruntime", device="TENSORRT", strict=True)


def test_an_unknown_device_is_a_usage_error(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="device of onnxruntime 'CUDDA': unknown, did you mean"):
        open_backend(artifact, "onnxruntime", device="CUDDA")


def test_a_provider_that_does_not_start_is_the_cpu(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with onnxruntime-gpu on a machine without CUDA: it is built in and falls back alone."""
    import onnxruntime as ort

    real = ort.get_available_providers()
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", *real])
    with caplog.at_level(logging.WARNING), pytest.warns(UserWarning, match="CUDAExecution"):
        backend = open_backend(artifact, "onnxruntime", device="CUDA")
    assert backend.device == "CPU"
    assert "CUDAExecutionProvider did not start" in caplog.text


@pytest.mark.parametrize(("precision", "halves"), [("fp32", "False"), ("fp16", "True")])
def test_tensorrt_keeps_its_engines_and_takes_the_precision(
    artifact: Artifact, tmp_path: Path, precision: str, halves: str
) -> None:
    file = artifact.manifest.file.model_copy(update={"precision": precision})
    manifest = artifact.manifest.model_copy(update={"file": file})
    cache = tmp_path / "new" / "cache"
    options = BackendOptions(device="TENSORRT", cache=cache)
    first, *others = backend_module.providers(
        "TENSORRT", replace(artifact, manifest=manifest), options
    )
    assert [name for name, _ in others] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert first == (
        "TensorrtExecutionProvider",
        {
            "trt_fp16_enable": halves,
            "trt_int8_enable": "False",
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(cache),
        },
    )
    assert cache.is_dir()
    bare = backend_module.providers("TENSORRT", artifact, BackendOptions(device="TENSORRT"))
    assert not any("cache" in key for key in bare[0][1])


def with_external_weights(onnx: ModuleType, location: str) -> bytes:
    """An addition whose second summand lies elsewhere."""
    helper, kind = onnx.helper, onnx.TensorProto
    tensor = kind(name="w", data_type=kind.FLOAT, dims=[4], data_location=kind.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    ends = [helper.make_tensor_value_info(name, kind.FLOAT, [4]) for name in ("image", "heatmaps")]
    node = helper.make_node("Add", ["image", "w"], ["heatmaps"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("where", ["outside", "absolute", "beside"])
def test_weights_in_another_file_are_refused_unread(
    artifact: Artifact,
    onnx: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for file in (tmp_path / "secret", folder / "secret"):
        np.arange(4, dtype=np.float32).tofile(file)
    places = {"outside": "../secret", "absolute": str(tmp_path / "secret"), "beside": "secret"}
    model = with_external_weights(onnx, places[where])
    monkeypatch.setattr("onnxruntime.InferenceSession", None)  # never reached
    with pytest.raises(ArtifactError, match="tensor 'w' lies in another file") as error:
        open_backend(replace(artifact, model=model), "onnxruntime")
    assert f"{places[where]!r}; an artifact is one file" in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_elsewhere_are_found_wherever_they_are(onnx: ModuleType) -> None:
    helper, kind = onnx.helper, onnx.TensorProto
    tensor = kind(name="deep", data_type=kind.FLOAT, dims=[1], data_location=kind.EXTERNAL)
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.append(helper.make_attribute("value", tensor))
    branch = helper.make_graph([constant], "branch", [], [])
    choice = helper.make_node("If", ["image"], ["y"], then_branch=branch, else_branch=branch)
    inner = helper.make_graph([choice], "graph", [], [])
    sparse = onnx.SparseTensorProto(values=tensor)
    function = helper.make_function("own", "f", [], [], [constant], [])
    for model in (
        helper.make_model(inner),
        helper.make_model(helper.make_graph([], "g", [], [], sparse_initializer=[sparse])),
        helper.make_model(helper.make_graph([], "g", [], []), functions=[function]),
        onnx.ModelProto(training_info=[onnx.TrainingInfoProto(algorithm=inner)]),
    ):
        with pytest.raises(ArtifactError, match="tensor 'deep' lies in another file"):
            refuse_foreign_parts(model.SerializeToString(), "m")


def test_compiled_nodes_are_refused(onnx: ModuleType) -> None:
    helper = onnx.helper
    options = {"embed_mode": 0, "ep_cache_context": "../engine"}
    node = helper.make_node("EPContext", ["image"], ["y"], domain="com.microsoft", **options)
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    with pytest.raises(
        ArtifactError, match=r"m: a node EPContext .*; give the graph that"
    ) as error:
        refuse_foreign_parts(model.SerializeToString(), "m")
    assert "weights" not in str(error.value)


def test_an_odd_spelling_is_found_too(onnx: ModuleType) -> None:
    model = with_external_weights(onnx, "../secret")
    # Protobuf takes a length in more bytes than it needs; the graph around it gets longer by one.
    spelled = model.replace(b"\x0a\x08location", b"\x0a\x88\x00location")
    assert spelled != model
    with pytest.raises((ArtifactError, BackendError)):
        refuse_foreign_parts(spelled, "m")


def test_a_tag_that_some_parsers_cut_hides_nothing(onnx: ModuleType) -> None:
    """Bit 32 of the graph's tag: protobuf drops it and reads a graph, others an unknown field."""
    model = with_external_weights(onnx, "../secret")
    graph = onnx.load_from_string(model).graph.SerializeToString()
    plain = b"\x3a" + length(graph) + graph
    with pytest.raises(ArtifactError, match="lies in another file"):
        refuse_foreign_parts(plain, "m")
    for tag in (b"\xba\x80\x80\x80\x10", b"\xba\x00", b"\xba\x80\x80\x80\x80\x00"):
        with pytest.raises(BackendError, match="m: the ONNX reader refuses it: damaged"):
            refuse_foreign_parts(tag + plain[1:], "m")


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff" * 40,
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b\x0c",
        b"\x02\x00",  # field number 0
        b"\x08" + b"\xff" * 9 + b"\x02",  # a number of 65 bits
        b"\x08" + b"\x80" * 10 + b"\x01",
        b"\x3a\x05abcd",  # a length beyond the end
        b"\x3a" + b"\xff" * 9 + b"\x01",
        b"\x08\x88\x00",  # 8 in two bytes
        b"\x0d\x00",  # four bytes, of which there is one
    ],
)
def test_what_is_no_onnx_file_is_refused(damage: bytes) -> None:
    with pytest.raises(BackendError, match="m: the ONNX reader refuses it: damaged"):
        refuse_foreign_parts(damage, "m")


def test_graphs_in_graphs_without_end_are_refused() -> None:
    graph = b""
    for _ in range(5000):  # a graph in an attribute of a node of a graph
        for number in (6, 5, 1):
            graph = bytes([8 * number + 2]) + length(graph) + graph
    with pytest.raises(BackendError, match="refuses it"):
        refuse_foreign_parts(b"\x3a" + length(graph) + graph, "m")


def length(content: bytes) -> bytes:
    """Number of bytes as a protobuf varint."""
    digits, rest = [], len(content)
    while rest > 0x7F:
        digits.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*digits, rest])


@pytest.mark.parametrize(
    ("operator", "domain", "named"),
    [("HeatFold", "com.example", "com.example:HeatFold"), ("HeatFold", "", "HeatFold")],
)
def test_an_operator_that_is_missing_is_named(
    artifact: Artifact, onnx: ModuleType, operator: str, domain: str, named: str
) -> None:
    helper, kind = onnx.helper, onnx.TensorProto
    ends = [helper.make_tensor_value_info(name, kind.FLOAT, [4]) for name in ("image", "heatmaps")]
    node = helper.make_node(operator, ["image"], ["heatmaps"], domain=domain)
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    with pytest.raises(BackendError, match=rf"lacks the operator {named}$") as error:
        open_backend(replace(artifact, model=model), "onnxruntime")
    assert "\n" not in str(error.value)


def test_a_kernel_that_is_missing_is_named(artifact: Artifact, onnx: ModuleType) -> None:
    helper, kind = onnx.helper, onnx.TensorProto
    ends = [
        helper.make_tensor_value_info(name, kind.DOUBLE, [1, 1, 4, 4])
        for name in ("image", "heatmaps")
    ]
    node = helper.make_node("Conv", ["image", "image"], ["heatmaps"], pads=[1, 1, 2, 2])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with pytest.raises(BackendError, match=r"lacks the operator Conv$"):
        open_backend(replace(artifact, model=model.SerializeToString()), "onnxruntime")
