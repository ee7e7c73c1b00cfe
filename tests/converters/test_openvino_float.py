from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch

from converters import CONVERTERS
from converters.base import Converted, Options
from converters.export_graph import Fold
from converters.openvino_graph import from_onnx
from converters.openvino_run import run_graph
from edge_pose.errors import EdgePoseError
from edge_pose.types import FloatArray
from training.checkpoint import load_checkpoint

Convert = Callable[..., Converted]


@pytest.fixture(scope="module")
def convert(checkpoint: Path) -> Convert:
    made: dict[tuple[str, Fold], Converted] = {}

    def once(precision: str, fold: Fold | None = None) -> Converted:
        key = precision, fold or Fold()
        if key not in made:
            function = CONVERTERS["openvino", precision].load()
            made[key] = function(*load_checkpoint(checkpoint), None, Options(fold=key[1]))
        return made[key]

    return once


@pytest.fixture
def image() -> FloatArray:
    return np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)


def run(converted: Converted, tensor: np.ndarray) -> list[FloatArray]:
    model = openvino.Core().read_model(converted.model, converted.weights)
    (outputs,) = run_graph(model, [tensor])
    return outputs


def of_torch(checkpoint: Path, image: FloatArray) -> FloatArray:
    model, _ = load_checkpoint(checkpoint)
    with torch.no_grad():
        return model(torch.from_numpy(image))[-1].numpy()


def test_float32_equals_torch(checkpoint: Path, convert: Convert, image: FloatArray) -> None:
    expected = of_torch(checkpoint, image)
    (found,) = run(convert("fp32"), image)
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_float16_is_half_the_size_and_nearly_the_same(
    checkpoint: Path, convert: Convert, image: FloatArray
) -> None:
    half, full = convert("fp16"), convert("fp32")
    assert len(half.weights) < 0.55 * len(full.weights)
    expected = of_torch(checkpoint, image)
    (found,) = run(half, image)
    assert 0 < np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_says_what_it_is(convert: Convert, precision: str) -> None:
    converted = convert(precision)
    assert (converted.format, converted.backend) == ("openvino", "openvino")
    assert (converted.file_name, converted.weights_name) == ("model.xml", "model.bin")
    assert converted.precision == precision
    assert {"openvino", "torch", "onnx"} <= converted.tools.keys()
    assert converted.float_layers == ()


def test_graph_is_static_with_the_names_of_the_manifest(convert: Convert) -> None:
    converted = convert("fp32")
    model = openvino.Core().read_model(converted.model, converted.weights)
    assert [(t.any_name, tuple(t.shape)) for t in model.inputs] == [("image", (1, 3, 64, 64))]
    outputs = [(o.name, o.shape) for o in converted.graph.outputs]
    assert [(t.any_name, tuple(t.shape)) for t in model.outputs] == outputs
    # Normalisation is folded into the convolutions, and their biases are constants.
    kinds = {layer.get_type_name() for layer in model.get_ops()} - {"Constant", "Parameter"}
    assert kinds == {"Convolution", "GroupConvolution", "Add", "Clamp", "Result"}


def test_pixels_and_decoder_in_the_graph(
    checkpoint: Path, convert: Convert, image: FloatArray
) -> None:
    converted = convert("fp32", Fold(pixels=True, decoder=True))
    assert converted.graph.contains == ("normalization", "decoder")
    pixels = np.random.default_rng(2).integers(0, 256, (1, 64, 64, 3), np.uint8)
    with torch.no_grad():
        (expected,) = converted.graph.module(torch.from_numpy(pixels))
    (found,) = run(converted, pixels)
    assert found.shape == (1, 16, 3)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_same_bytes_again_in_silence(
    checkpoint: Path, convert: Convert, precision: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first = convert(precision)
    capfd.readouterr()
    function = CONVERTERS["openvino", precision].load()
    again = function(*load_checkpoint(checkpoint), None, Options())
    assert (again.model, again.weights) == (first.model, first.weights)
    assert capfd.readouterr() == ("", "")


def test_xml_carries_no_trace_of_the_machine(convert: Convert) -> None:
    text = convert("fp32").model.decode()
    assert not re.search(r"/(tmp|home|root|usr)\b|conversion_parameters|\.onnx|TinyNetwork", text)
    names = re.findall(r'<layer id="\d+" name="([^"]*)"', text)
    ours = re.compile(r"image|[A-Z][A-Za-z]+_\d{1,2}|heatmaps/sink_port_0")
    assert [name for name in names if not ours.fullmatch(name)] == []
    assert len(set(names)) == len(names)


def test_an_operator_that_openvino_lacks_is_one_line() -> None:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Wobble", ["image"], ["heatmaps"], domain="my")
    shape = (onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    graph = onnx.helper.make_graph(
        [node], "g", [value("image", *shape)], [value("heatmaps", *shape)]
    )
    imports = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("my", 1)]
    model = onnx.helper.make_model(graph, opset_imports=imports)
    with pytest.raises(EdgePoseError, match=r"OpenVINO [\d.]+ lacks the operator my\.Wobble$"):
        from_onnx(model)
