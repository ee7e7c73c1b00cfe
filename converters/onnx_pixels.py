"""8-bit ONNX graphs that take pixels as they are: what preprocessing would do costs nothing."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.export_graph import INPUT
from edge_pose.manifest import Quantization
from edge_pose.preprocess import InputSpec

SCALE, ZERO_POINT, REAL, PLANES = "pixel_scale", "pixel_zero_point", "pixel_values", "pixel_planes"


def pixel_quantization(spec: InputSpec) -> Quantization | None:
    """Return the quantization under which a normalised picture is its own pixels, if there is one.

    (pixel - mean) / std is exactly (stored - zero_point) * scale with zero_point = mean and
    scale = 1 / std, where the mean is one whole number and the standard deviation one number.
    """
    mean, std = spec.mean[0], spec.std[0]
    same = set(spec.mean) == {mean} and set(spec.std) == {std}
    if not same or mean != int(mean) or not 0 <= mean <= 255:
        return None
    return Quantization(scale=float(np.float32(1.0 / std)), zero_point=int(mean))


def take_pixels(model: onnx.ModelProto, pixels: Quantization) -> None:
    """Make the graph's float input uint8 pixels of this quantization.

    Unsigned activations are the pixels themselves; signed ones are 128 less, which ONNX has no
    integer operator for: there the pixels are dequantized and quantized again, without loss. So
    they are where the first layer stays float.
    """
    graph = model.graph
    readers = [node for node in graph.node if INPUT in node.input]
    first = readers[0]
    if [n.op_type for n in readers] == ["QuantizeLinear"] and _is_unsigned(graph, first.input[2]):
        _rewire(graph, first.output[0], INPUT)
        graph.node.remove(first)
    else:
        graph.initializer.extend(
            (
                numpy_helper.from_array(np.array(pixels.scale, np.float32), SCALE),
                numpy_helper.from_array(np.array(pixels.zero_point, np.uint8), ZERO_POINT),
            )
        )
        _rewire(graph, INPUT, REAL)
        real = helper.make_node("DequantizeLinear", [INPUT, SCALE, ZERO_POINT], [REAL])
        graph.node.insert(0, real)
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def take_planes(model: onnx.ModelProto) -> None:
    """Make the graph's (n, 3, h, w) pixels (n, h, w, 3)."""
    graph = model.graph
    _rewire(graph, INPUT, PLANES)
    transpose = helper.make_node("Transpose", [INPUT], [PLANES], perm=(0, 3, 1, 2))
    graph.node.insert(0, transpose)
    n, channels, height, width = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    graph.input[0].CopyFrom(
        helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, (n, height, width, channels))
    )


def _rewire(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let everything that reads one tensor read another."""
    for node in graph.node:
        node.input[:] = [new if x == old else x for x in node.input]


def _is_unsigned(graph: onnx.GraphProto, zero_point: str) -> bool:
    (tensor,) = (tensor for tensor in graph.initializer if tensor.name == zero_point)
    return bool(tensor.data_type == onnx.TensorProto.UINT8)
