"""Checkpoint to ONNX in float32, through torch's exporter."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import INPUT, export_graph
from converters.failure import reason
from converters.quiet import quiet
from edge_pose.errors import EdgePoseError
from training.checkpoint import CheckpointInfo

OPSET = (
    18  # what the exporter writes natively; older ones are down-converted, newer ones less known
)
FILE_NAME = "model.onnx"
TOOLS = ("torch", "onnx", "onnxscript")


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,  # noqa: ARG001 - every converter's signature
    options: Options,
) -> Converted:
    """See converters.base.Convert."""
    graph = export_graph(model, info, options.fold)
    return Converted(
        model=export(graph.module, graph.example, graph.names).SerializeToString(
            deterministic=True
        ),
        file_name=FILE_NAME,
        format="onnx",
        precision="fp32",
        backend="onnxruntime",
        graph=graph,
        tools=versions(TOOLS),
    )


def export(module: nn.Module, example: Tensor, names: Sequence[str]) -> onnx.ModelProto:
    """Export a graph from `example` to all that the network returns, normalisation folded.

    The graph carries no trace of the machine or of the exporter's counters: the same weights give
    the same bytes.

    Args:
        module: in evaluation mode; it returns a tuple of tensors.
        example: the graph's input, whose shape is fixed.
        names: of the outputs.

    Raises:
        EdgePoseError: torch's exporter cannot express the network in ONNX.
    """
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(names),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # noqa: BLE001 - the exporter's exceptions share no base class
        raise EdgePoseError(f"torch to ONNX: cannot export: {reason(error)}") from None
    if program is None:
        raise EdgePoseError("torch to ONNX: the exporter returned nothing, torch >= 2.5 is needed")
    graph: onnx.ModelProto = program.model_proto
    return anonymous(graph)


def anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without debug information: file paths, stack traces, exporter's counters."""
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    _strip(clean)
    graph = clean.graph
    _strip(graph)
    del graph.value_info[:]
    graph.name = "edge_pose"
    keep = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": "", **{name: name for name in keep}}
    for i, tensor in enumerate(graph.initializer):
        names[tensor.name] = tensor.name = f"w{i}"
        _strip(tensor)
    for value in (*graph.input, *graph.output):
        _strip(value)
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"
        _strip(node)
        for j, output in enumerate(node.output):
            names.setdefault(output, f"t{i}" if j == 0 else f"t{i}_{j}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    onnx.checker.check_model(clean)
    return clean


def _strip(proto: Any) -> None:  # noqa: ANN401 - several protobuf messages share these fields
    for field in ("metadata_props", "doc_string"):
        proto.ClearField(field)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of PyPI packages."""
    return {package: version(package) for package in packages}
