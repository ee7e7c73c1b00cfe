"""Float ONNX to 8-bit ONNX with known ranges, by ONNX Runtime's quantizer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationMethod, save_tensors_data

from converters.export_graph import INPUT
from converters.failure import reason
from converters.onnx_ranges import Range, tensors_data
from converters.quiet import quiet
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Quantization


@dataclass(frozen=True, slots=True)
class Scheme:
    """Which integers.

    Attributes:
        name: of activations and weights, for the manifest.
        activations: ONNX Runtime's type; weights are always signed.
    """

    name: str
    activations: QuantType

    @property
    def signed(self) -> bool:
        """Activations reach from -128 to 127 and not from 0 to 255."""
        return bool(self.activations == QuantType.QInt8)


def quantize(
    graph: onnx.ModelProto,
    ranges: dict[str, Range],
    scheme: Scheme,
    floating: Iterable[str] = (),
    pixels: Quantization | None = None,
    only: Iterable[str] = (),
) -> onnx.ModelProto:
    """Quantize a float graph.

    Args:
        graph: as `torch_onnx.export` returns it.
        ranges: of all its tensors.
        scheme: which integers.
        floating: names of nodes that stay float.
        pixels: quantization of the input; None takes it from its range.
        only: names of the only nodes to quantize; empty: all.

    Raises:
        EdgePoseError: ONNX Runtime cannot quantize the graph.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder, quiet():
            source, target, table = (
                Path(folder, name) for name in ("float.onnx", "int8.onnx", "ranges.json")
            )
            onnx.save(graph, source)
            save_tensors_data(tensors_data(ranges), table)
            quantize_static(
                source,
                target,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=scheme.activations,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,  # the table's, see tensors_data
                calibration_cache_path=table,
                nodes_to_exclude=list(floating),
                nodes_to_quantize=list(only),
                extra_options=_input_options(scheme, pixels),
            )
            return onnx.load(target)
    except Exception as error:  # noqa: BLE001 - the quantizer's exceptions share no base class
        raise EdgePoseError(f"ONNX to int8: cannot quantize: {reason(error)}") from None


def _input_options(scheme: Scheme, pixels: Quantization | None) -> dict[str, Any]:
    if pixels is None:
        return {}
    zero_point = pixels.zero_point - (128 if scheme.signed else 0)
    override = {
        "scale": np.array(pixels.scale, np.float32),
        "zero_point": np.array(zero_point, np.int8 if scheme.signed else np.uint8),
    }
    return {"TensorQuantOverrides": {INPUT: [override]}}
