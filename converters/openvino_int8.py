"""Checkpoint to OpenVINO IR in 8 bits, by NNCF's post-training quantization.

Weights are signed with one scale per channel. Activations are unsigned with a zero point (preset
"mixed") or symmetric (preset "performance": up to an eighth quicker on CPUs). The same file suits
CPUs, GPUs and NPUs; inputs and outputs stay as they are in the float graph.

How ranges are found matters more than the preset: estimators that average the extremes of pictures
clip what peaks are made of. On the shipped networks they lose half of the peaks' places; histograms
and plain extremes keep them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from converters import torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.damage import spread
from converters.export_graph import ExportGraph, export_graph
from converters.openvino_graph import TOOLS, Model, converted, layer_names, name_layers, read_graph
from converters.openvino_layers import float_weighted, output_layers
from converters.openvino_quantize import METHODS as _METHODS
from converters.openvino_quantize import (
    SCHEMES,
    Method,
    RangesError,
    quantize,
    quantize_with_control,
)
from converters.openvino_run import Pictures
from converters.openvino_sensitivity import rank
from converters.steps import Tick, silent
from edge_pose.errors import EdgePoseError
from edge_pose.lookup import lookup
from training.checkpoint import CheckpointInfo

log = logging.getLogger(__name__)

METHODS = tuple(_METHODS)
"""The best on average first; accuracy control last, it takes minutes."""


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert; `calibration` is needed."""
    source = _Source.read(model, info, calibration, options)
    kept = layer_names(source.floating)
    for name in options.float_layers:
        lookup(dict.fromkeys(kept), name, "float layer")
    always_float = (*source.outputs, *options.float_layers)

    def run(method: Method) -> Model:
        function = quantize_with_control if method.control else quantize
        return function(source.floating, source.pictures, method, always_float)

    name, quantized = _first_that_finds_ranges(options, run)
    # NNCF leaves gates of squeeze-and-excitation alone, and accuracy control has its own choice.
    left = set(float_weighted(quantized)) - set(source.outputs) | set(options.float_layers)
    name_layers(quantized, kept)
    return replace(
        converted(source.graph, quantized, "int8"),
        method=name,
        scheme=SCHEMES[_METHODS[name].preset],
        float_layers=tuple(sorted(left)),
        tools=torch_onnx.versions((*TOOLS, "nncf")),
    )


def rank_layers(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
    tick: Tick = silent,
) -> tuple[str, ...]:
    """See converters.base.Convert."""
    source = _Source.read(model, info, calibration, options)

    def run(method: Method) -> Model:
        return quantize(
            source.floating,
            source.pictures,
            replace(method, exact_bias=False),
            source.outputs,
            # A corrected bias suits the graph in which everything is quantized, not one layer.
            disable_bias_correction=True,
            backend_params={"compress_weights": False},
        )

    _, quantized = _first_that_finds_ranges(options, run)
    tensors = [source.pictures[i] for i in spread(len(source.pictures))]
    return rank(source.floating, quantized, tensors, tick=tick)


def _first_that_finds_ranges(options: Options, run: Callable[[Method], Model]) -> tuple[str, Model]:
    """Quantize by the method that is asked for; else by the first one that can.

    Returns:
        The method's name and what came out.
    """
    if options.method:
        return options.method, run(lookup(_METHODS, options.method, "method"))
    for name in METHODS[:-1]:
        try:
            return name, run(_METHODS[name])
        except RangesError as error:
            log.info("%s: %s", name, error)
    return METHODS[-1], run(_METHODS[METHODS[-1]])


@dataclass(frozen=True, slots=True)
class _Source:
    """What is quantized.

    Attributes:
        graph: torch's.
        floating: OpenVINO's.
        pictures: calibration inputs.
        outputs: layers that stay float whatever is asked for.
    """

    graph: ExportGraph
    floating: Model
    pictures: Pictures
    outputs: tuple[str, ...]

    @classmethod
    def read(
        cls,
        model: nn.Module,
        info: CheckpointInfo,
        calibration: CalibrationSet | None,
        options: Options,
    ) -> _Source:
        """Export the network.

        Raises:
            EdgePoseError: there are no pictures of the input's size, or it cannot be exported.
        """
        if calibration is None:
            raise EdgePoseError("int8: no calibration pictures given")
        graph = export_graph(model, info, options.fold)
        (height, width), size = calibration.crops.shape[1:3], graph.input.size
        if (width, height) != size:
            raise EdgePoseError(
                f"int8: calibration pictures of {width}x{height} px, the input has"
                f" {size[0]}x{size[1]}"
            )
        floating = read_graph(graph)
        pictures = Pictures(calibration.crops, graph.input.spec)
        return cls(graph, floating, pictures, output_layers(floating))
