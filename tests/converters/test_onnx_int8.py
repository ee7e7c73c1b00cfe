from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from converters import onnx_int8
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Quantization
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import Image
from training.checkpoint import load_checkpoint

Triple = tuple[float, float, float]


@pytest.fixture(scope="module")
def convert(checkpoint_of: Callable[[str], Path], crops: Image) -> Callable[[str], Converted]:
    """Convert each tiny network once."""
    done: dict[str, Converted] = {}

    def once(name: str) -> Converted:
        if name not in done:
            loaded = load_checkpoint(checkpoint_of(name))
            done[name] = onnx_int8.convert(*loaded, CalibrationSet("drawn", crops), Options())
        return done[name]

    return once


@pytest.mark.parametrize("name", ["tiny", "tiny_means"])
def test_heatmaps_stay_close_to_torch(
    convert: Callable[[str], Converted],
    checkpoint_of: Callable[[str], Path],
    crops: Image,
    name: str,
) -> None:
    model, info = load_checkpoint(checkpoint_of(name))
    with torch.no_grad():
        expected = model(torch.from_numpy(to_tensor(crops, info.input_spec)))[-1].numpy()
    converted = convert(name)
    session = onnxruntime.InferenceSession(converted.model)
    inputs = to_tensor(crops, converted.graph.input.spec)
    found = np.concatenate([session.run(None, {"image": one[None]})[0] for one in inputs])
    error = np.abs(found - expected)
    assert 0 < error.mean() < 0.02 * expected.std()  # it is quantized, and well


def test_whole_mean_makes_the_graph_take_pixels(convert: Callable[[str], Converted]) -> None:
    converted = convert("tiny")
    graph = onnx.load_from_string(converted.model).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [n.op_type for n in graph.node if "image" in n.input] == ["DequantizeLinear"]
    stored = converted.graph.input.quantization
    assert converted.graph.input.dtype == "uint8"
    assert stored == Quantization(scale=1 / 128, zero_point=127)
    # What the graph makes of pixels is what preprocessing makes of them for the float network.
    pixels = np.arange(256)
    np.testing.assert_array_equal((pixels - stored.zero_point) * stored.scale, (pixels - 127) / 128)


def test_mean_per_channel_keeps_float_input(convert: Callable[[str], Converted]) -> None:
    converted = convert("tiny_means")
    graph = onnx.load_from_string(converted.model).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert converted.graph.input.dtype == "float32"
    assert converted.graph.input.quantization is None


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
        ((127.0, 127.0, 126.0), (128.0, 128.0, 128.0)),
        ((127.0, 127.0, 127.0), (128.0, 128.0, 127.0)),
        ((-1.0, -1.0, -1.0), (128.0, 128.0, 128.0)),
        ((256.0, 256.0, 256.0), (128.0, 128.0, 128.0)),
    ],
)
def test_other_normalisations_are_not_pixels(mean: Triple, std: Triple) -> None:
    assert onnx_int8.pixel_quantization(InputSpec((64, 64), mean=mean, std=std)) is None


def test_weights_are_8_bit_per_channel_and_the_head_is_float(
    convert: Callable[[str], Converted],
) -> None:
    graph = onnx.load_from_string(convert("tiny").model).graph
    kinds = Counter(t.data_type for t in graph.initializer if len(t.dims) == 4)
    assert kinds == {onnx.TensorProto.INT8: 2, onnx.TensorProto.FLOAT: 1}
    weights = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT8}
    shapes = {t.name: list(t.dims) for t in graph.initializer}
    scales = [shapes[n.input[1]] for n in graph.node if n.input[0] in weights]
    assert scales == [[24], [24]]
    assert graph.node[-1].op_type == "Conv"
    assert list(graph.node[-1].output) == ["heatmaps"]


def test_same_bytes_again_in_silence(
    convert: Callable[[str], Converted],
    checkpoint: Path,
    crops: Image,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = convert("tiny").model
    capfd.readouterr()
    again = onnx_int8.convert(
        *load_checkpoint(checkpoint), CalibrationSet("drawn", crops), Options()
    )
    assert again.model == first
    assert capfd.readouterr() == ("", "")


def test_other_crops_give_another_model(
    convert: Callable[[str], Converted], checkpoint: Path, crops: Image
) -> None:
    bright = CalibrationSet("bright", np.maximum(crops, 200))
    assert (
        onnx_int8.convert(*load_checkpoint(checkpoint), bright, Options()).model
        != convert("tiny").model
    )


def test_without_pictures(checkpoint: Path) -> None:
    with pytest.raises(EdgePoseError, match="no calibration pictures"):
        onnx_int8.convert(*load_checkpoint(checkpoint), None, Options())


def test_crops_of_another_size_are_one_line(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    other = replace(info, input_size=(32, 32))
    with pytest.raises(EdgePoseError, match="cannot quantize") as caught:
        onnx_int8.convert(model, other, CalibrationSet("drawn", crops), Options())
    assert "\n" not in str(caught.value)
