"""Checkpoint to TFLite in float32, through LiteRT's converter for torch.

Pictures and maps lie channels last, as the runtime's kernels want them: a graph that took planes
would begin and end with a transposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import INPUT, ExportGraph, export_graph
from converters.litert import load, versions, working
from converters.tflite_file import named
from training.checkpoint import CheckpointInfo

FILE_NAME = "model.tflite"
BACKEND = "tflite"
TOOLS = ("torch", "litert-torch")


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,  # noqa: ARG001 - every converter's signature
    options: Options,
) -> Converted:
    """See converters.base.Convert."""
    return converted(export_graph(model, info, options.fold))


def converted(graph: ExportGraph) -> Converted:
    """Return a graph in TFLite's float32."""
    return Converted(
        model=export(graph.module, graph.example, graph.names),
        file_name=FILE_NAME,
        format="tflite",
        precision="fp32",
        backend=BACKEND,
        graph=channels_last(graph),
        tools=versions(*TOOLS),
    )


def export(module: nn.Module, example: Tensor, names: Sequence[str]) -> bytes:
    """Return a graph as a float TFLite file; pictures and maps lie channels last in it.

    The same weights give the same bytes.

    Args:
        module: in evaluation mode; it returns a tuple of tensors.
        example: the graph's input, whose shape is fixed: (1, 3, h, w) float32, or pixels
            (1, h, w, 3) uint8.
        names: of the outputs.

    Raises:
        EdgePoseError: the converter is not installed or cannot express the network.
    """
    converter = load("litert_torch")
    planes = example.is_floating_point()
    image = example.permute(0, 2, 3, 1).contiguous() if planes else example
    with working("torch to TFLite"), torch.no_grad():
        content = converter.convert(_ChannelsLast(module, planes=planes).eval(), (image,))
        return named(content.model_content(), INPUT, names)


def channels_last(graph: ExportGraph) -> ExportGraph:
    """Return the description of the graph as the file has it."""
    outputs = tuple(
        output.model_copy(
            update={"layout": "nhwk", "shape": tuple(output.shape[i] for i in (0, 2, 3, 1))}
        )
        if output.layout == "nkhw"
        else output
        for output in graph.outputs
    )
    return replace(graph, input=graph.input.model_copy(update={"layout": "nhwc"}), outputs=outputs)


class _ChannelsLast(nn.Module):
    def __init__(self, module: nn.Module, *, planes: bool) -> None:
        super().__init__()
        self.module, self.planes = module, planes

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        outputs = self.module(image.permute(0, 3, 1, 2) if self.planes else image)
        return tuple(y.permute(0, 2, 3, 1) if y.dim() == 4 else y for y in outputs)
