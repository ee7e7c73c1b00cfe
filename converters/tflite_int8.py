"""Checkpoint to TFLite in 8-bit integers, signed and with one scale per channel of weights.

By default inputs and outputs are float and so is the last layer, which costs little and whose 256
steps would blur the peaks. With integer inputs and outputs nothing is float: accelerators that
know no floats, such as the Edge TPU, want it so. An integer tensor has one scale, so that outputs
with channels of several kinds come in parts, see converters.export_graph.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from torch import nn

from converters import torch_tflite
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import ExportGraph, export_graph
from converters.litert import versions
from converters.steps import Tick, silent
from converters.tflite_file import Tensor, operators, tensors
from converters.tflite_quantizer import TOOL, quantize, static_recipe
from converters.tflite_ranges import RANGES, Ranges, observe, pictures
from converters.tflite_sensitivity import rank_operators
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.lookup import lookup
from edge_pose.manifest import InputTensor, OutputTensor
from training.checkpoint import CheckpointInfo

METHODS = tuple(RANGES)
SCHEME = "S8S8 per channel"

Described = TypeVar("Described", InputTensor, OutputTensor)


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert; `calibration` is needed."""
    if calibration is None:
        raise EdgePoseError("int8: no calibration pictures given")
    floating, ranges = _observed(model, info, calibration, options)
    names = {operator.name: operator for operator in operators(floating.model)}
    for layer in options.float_layers:
        lookup(names, layer, "TFLite: layer")
    recipe = static_recipe(
        (*options.float_layers, *_head(floating, options)), integer_io=options.integer_io
    )
    quantized = quantize(floating.model, recipe, ranges)
    return replace(
        floating,
        model=quantized,
        precision="int8",
        graph=_as_stored(floating.graph, quantized),
        method=options.method or METHODS[0],
        scheme=SCHEME,
        float_layers=options.float_layers,
        tools=floating.tools | versions(TOOL),
    )


def rank_layers(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet,
    options: Options,
    tick: Tick = silent,
) -> tuple[str, ...]:
    """Return the operators by the damage that their integers do, worst first.

    The last layers are not among them: they are float anyway.
    """
    floating, ranges = _observed(model, info, calibration, options)
    inputs = list(pictures(calibration.crops, floating.graph.input.spec))
    head = _head(floating, options)
    return rank_operators(floating.model, inputs, ranges, without=head, tick=tick)


def _observed(
    model: nn.Module, info: CheckpointInfo, calibration: CalibrationSet, options: Options
) -> tuple[Converted, Ranges]:
    """Return the float file and the ranges of its tensors."""
    if options.integer_io and (options.fold.pixels or options.fold.decoder):
        raise UsageError("TFLite int8: integer inputs and outputs leave nothing to fold")
    reduce = lookup(RANGES, options.method or METHODS[0], "TFLite: calibration method")
    graph = export_graph(model, info, options.fold, apart=options.integer_io)
    floating = torch_tflite.converted(graph)
    inputs = pictures(calibration.crops, floating.graph.input.spec)
    return floating, reduce(observe(floating.model, inputs))


def _head(floating: Converted, options: Options) -> tuple[str, ...]:
    """Return the operators that stay float whatever is asked for."""
    if options.integer_io:
        return ()
    return tuple(operator.name for operator in operators(floating.model) if operator.head)


def _as_stored(graph: ExportGraph, model: bytes) -> ExportGraph:
    """Return the description with dtypes and quantization as the file has them."""
    inputs, outputs = tensors(model)
    return replace(
        graph,
        input=_with(graph.input, inputs[0]),
        outputs=tuple(_with(*pair) for pair in zip(graph.outputs, outputs, strict=True)),
    )


def _with(described: Described, stored: Tensor) -> Described:
    update = {"dtype": stored.dtype, "quantization": stored.quantization}
    return described.model_copy(update=update)
