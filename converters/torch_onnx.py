"""Checkpoint to ONNX in float32, through torch's exporter."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from converters.base import INPUT, OUTPUT, Converted
from converters.calibration import CalibrationSet
from converters.quiet import quiet
from edge_pose.artifact import InputTensor, OutputTensor
from edge_pose.errors import EdgePoseError
from training.checkpoint import CheckpointInfo

OPSET = (
    18  # what the exporter writes natively; older ones are down-converted, newer ones less known
)
FILE_NAME = "model.onnx"
TOOLS = ("torch", "onnx", "onnxscript")


class LastStage(nn.Module):
    """A registered network reduced to its prediction: the heatmaps of the last stage."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, h, w) -> (N, K, H, W)."""
        heatmaps: Tensor = self.model(image)[-1]
        return heatmaps


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None = None,  # noqa: ARG001 - every converter's signature
) -> Converted:
    """See converters.base.Convert."""
    graph = export(model, info.input_size)
    spec = info.input_spec
    return Converted(
        model=graph.SerializeToString(deterministic=True),
        file_name=FILE_NAME,
        format="onnx",
        precision="fp32",
        backend="onnxruntime",
        input=InputTensor(
            name=INPUT,
            size=spec.size,
            layout="nchw",
            dtype="float32",
            color=info.entry.color,
            mean=spec.mean,
            std=spec.std,
        ),
        output=OutputTensor(name=OUTPUT, layout="nkhw", shape=output_shape(graph), dtype="float32"),
        tools=versions(TOOLS),
    )


def export(model: nn.Module, input_size: tuple[int, int]) -> onnx.ModelProto:
    """Export the last stage as a graph (1, 3, h, w) -> (1, K, H, W), see `export_outputs`."""
    return export_outputs(LastStage(model), input_size, (OUTPUT,))


def export_outputs(
    model: nn.Module, input_size: tuple[int, int], names: Sequence[str]
) -> onnx.ModelProto:
    """Export a graph from (1, 3, h, w) to all that the network returns, normalisation folded.

    The graph carries no trace of the machine or of the exporter's counters: the same weights give
    the same bytes.

    Raises:
        EdgePoseError: torch's exporter cannot express the network in ONNX.
    """
    width, height = input_size
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                model.eval(),
                (torch.zeros(1, 3, height, width),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(names),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # noqa: BLE001 - the exporter's exceptions share no base class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        name = type(error).__name__
        raise EdgePoseError(f"torch to ONNX: cannot export: {name}: {reason}") from None
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


def output_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the static shape of the graph's only output."""
    shape = model.graph.output[0].type.tensor_type.shape
    return tuple(dim.dim_value for dim in shape.dim)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of PyPI packages."""
    return {package: version(package) for package in packages}
