"""Checkpoint to 8-bit ONNX: static quantization in QDQ form, by ONNX Runtime.

Weights are signed with one scale per channel, activations unsigned: of the four combinations this
is the fast one on x86 (signed activations take twice as long, unsigned weights fifteen times).
x86 cores without VNNI (before about 2019) may saturate when they add products in 16 bits: measure
an artifact on such a device before relying on it.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import nn

from converters import torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import INPUT, export_graph
from converters.quiet import quiet
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Quantization
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo

METHOD = (
    "MinMax"  # percentile and entropy clip nothing worth clipping where ReLU6 bounds the numbers
)


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert; `calibration` is needed."""
    if calibration is None:
        raise EdgePoseError("int8: no calibration pictures given")
    graph = export_graph(model, info, options.fold)
    floating = torch_onnx.export(graph.module, graph.example, graph.names)
    pixels = pixel_quantization(graph.input.spec)
    quantized = quantize(floating, graph.input.spec, calibration.crops, pixels)
    if pixels is not None:
        update = {"dtype": "uint8", "quantization": pixels}
        graph = replace(graph, input=graph.input.model_copy(update=update))
    return Converted(
        model=quantized.SerializeToString(deterministic=True),
        file_name=torch_onnx.FILE_NAME,
        format="onnx",
        precision="int8",
        backend="onnxruntime",
        graph=graph,
        method=METHOD,
        scheme="U8S8 per channel",
        tools={**torch_onnx.versions(torch_onnx.TOOLS), "onnxruntime": version("onnxruntime")},
    )


def pixel_quantization(spec: InputSpec) -> Quantization | None:
    """Return the quantization under which a normalised picture is its own pixels, if there is one.

    (pixel - mean) / std is exactly (stored - zero_point) * scale with zero_point = mean and
    scale = 1 / std, where the mean is one whole number and the standard deviation one number.
    """
    mean, std = spec.mean[0], spec.std[0]
    if spec.dtype == "uint8":  # folded
        return None
    same = set(spec.mean) == {mean} and set(spec.std) == {std}
    if not same or mean != int(mean) or not 0 <= mean <= 255:
        return None
    return Quantization(scale=float(np.float32(1.0 / std)), zero_point=int(mean))


def quantize(
    graph: onnx.ModelProto, spec: InputSpec, crops: Image, pixels: Quantization | None
) -> onnx.ModelProto:
    """Quantize a float graph.

    Args:
        graph: as `torch_onnx.export` returns it.
        spec: how the float graph wants its input.
        crops: (N, h, w, 3) uint8 BGR for calibration.
        pixels: let the graph take uint8 pixels of this quantization; None keeps float input.

    Raises:
        EdgePoseError: ONNX Runtime cannot quantize the graph.
    """
    outputs = {output.name for output in graph.graph.output}
    options: dict[str, Any] = {}
    if pixels is not None:
        scale, zero = np.array(pixels.scale, np.float32), np.array(pixels.zero_point, np.uint8)
        options["TensorQuantOverrides"] = {INPUT: [{"scale": scale, "zero_point": zero}]}
    try:
        with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder, quiet():
            source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
            onnx.save(graph, source)
            quantize_static(
                source,
                target,
                CropReader(crops, spec),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod[METHOD],
                # The last layer costs little and 256 steps would blur the peaks: it stays float.
                nodes_to_exclude=[
                    node.name for node in graph.graph.node if set(node.output) & outputs
                ],
                extra_options=options,
            )
            quantized = onnx.load(target)
    except Exception as error:  # noqa: BLE001 - the quantizer's exceptions share no base class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EdgePoseError(f"ONNX to int8: cannot quantize: {reason}") from None
    if pixels is not None:
        _take_pixels(quantized)
    return torch_onnx.anonymous(quantized)


def _take_pixels(model: onnx.ModelProto) -> None:
    """Feed the graph's uint8 input straight to what dequantizes it."""
    graph = model.graph
    quantizers = [node for node in graph.node if INPUT in node.input]
    if [node.op_type for node in quantizers] != ["QuantizeLinear"]:
        found = ", ".join(node.op_type for node in quantizers)
        raise EdgePoseError(f"ONNX to int8: input feeds {found}, expected one QuantizeLinear")
    for node in graph.node:
        node.input[:] = [INPUT if x == quantizers[0].output[0] else x for x in node.input]
    graph.node.remove(quantizers[0])
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


class CropReader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Feeds crops to the calibrator, one by one."""

    def __init__(self, crops: Image, spec: InputSpec) -> None:
        self._left = iter(range(len(crops)))
        self._crops, self._spec = crops, spec

    def get_next(self) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]] | None:
        """Return the next input, or None at the end."""
        i = next(self._left, None)
        return None if i is None else {INPUT: to_tensor(self._crops[i : i + 1], self._spec)}
