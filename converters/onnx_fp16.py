"""Checkpoint to 16-bit ONNX, for GPUs and TensorRT.

Inputs and outputs stay float32, so that a runtime handles it as the float32 file. CPUs without
16-bit arithmetic, nearly all of them, convert back and forth: there it saves memory, not time.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import nn

from converters import torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.failure import reason
from converters.onnx_nodes import float_nodes
from converters.quiet import quiet
from edge_pose.errors import EdgePoseError
from training.checkpoint import CheckpointInfo


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert."""
    converted = torch_onnx.convert(model, info, calibration, options)
    half = to_half(onnx.load_from_string(converted.model))
    return replace(
        converted,
        model=half.SerializeToString(deterministic=True),
        precision="fp16",
        tools={**converted.tools, "onnxruntime": version("onnxruntime")},
    )


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that computes in float16 but for the nodes of `onnx_nodes.float_nodes`.

    Raises:
        EdgePoseError: it cannot be converted.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        with quiet():
            half = convert_float_to_float16(
                copy, keep_io_types=True, node_block_list=list(float_nodes(model.graph))
            )
            _drop_round_trips(half.graph)
            ONNXModel(half).topological_sort()  # what converts to and from float16 is at the end
            return torch_onnx.anonymous(half)
    except Exception as error:  # noqa: BLE001 - the tool's exceptions share no base class
        raise EdgePoseError(f"ONNX to fp16: cannot convert: {reason(error)}") from None


def _drop_round_trips(graph: onnx.GraphProto) -> None:
    """Let float32 nodes hand on float32: the library rounds to float16 between any two of them."""
    halved = {n.output[0]: n.input[0] for n in graph.node if _casts(n, onnx.TensorProto.FLOAT16)}
    back = {
        n.output[0]: halved[n.input[0]]
        for n in graph.node
        if _casts(n, onnx.TensorProto.FLOAT) and n.input[0] in halved
    }
    outputs = {tensor.name for tensor in graph.output}
    # An output keeps its name: what was before the round trip takes it.
    names = {before: after for after, before in back.items() if after in outputs}
    names |= {after: names.get(before, before) for after, before in back.items()}
    for node in [node for node in graph.node if node.output[0] in back]:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    used = {name for node in graph.node for name in node.input} | outputs
    for node in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in used]:
        graph.node.remove(node)


def _casts(node: onnx.NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == to for a in node.attribute)
