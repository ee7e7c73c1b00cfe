"""Checkpoint to OpenVINO IR in 8 bits, by NNCF's post-training quantization.

Weights are signed with one scale per channel. Activations are unsigned with a zero point (preset
"mixed") or symmetric (preset "performance": up to an eighth quicker on CPUs). The same file suits
CPUs, GPUs and NPUs; inputs and outputs stay as they are in the float graph.

How ranges are found matters more than the preset: estimators that average the extremes of pictures
clip what peaks are made of. On the shipped networks they lose half of the peaks' places; histograms
and plain extremes keep them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from converters import torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import ExportGraph, export_graph
from converters.openvino_graph import TOOLS, Model, converted, layer_names, name_layers, read_graph
from converters.openvino_layers import float_weighted, output_layers
from converters.openvino_quantize import METHODS as _METHODS
from converters.openvino_quantize import SCHEMES, Method, quantize, quantize_with_control
from converters.openvino_run import Pictures
from converters.openvino_sensitivity import rank
from edge_pose.errors import EdgePoseError
from edge_pose.lookup import lookup
from training.checkpoint import CheckpointInfo

METHODS = tuple(_METHODS)
"""The best on average first; accuracy control last, it takes minutes."""

RANKED_ON = 4  # pictures


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert; `calibration` is needed."""
    method = _method(options)
    source = _Source.read(model, info, calibration, options)
    kept = layer_names(source.floating)
    for name in options.float_layers:
        lookup(dict.fromkeys(kept), name, "float layer")
    always_float = (*source.outputs, *options.float_layers)
    function = quantize_with_control if method.control else quantize
    quantized = function(source.floating, source.pictures, method, always_float)
    # NNCF leaves gates of squeeze-and-excitation alone, and accuracy control has its own choice.
    left = set(float_weighted(quantized)) - set(source.outputs) | set(options.float_layers)
    name_layers(quantized, kept)
    return replace(
        converted(source.graph, quantized, "int8"),
        method=options.method or METHODS[0],
        scheme=SCHEMES[method.preset],
        float_layers=tuple(sorted(left)),
        tools=torch_onnx.versions((*TOOLS, "nncf")),
    )


def rank_layers(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> tuple[str, ...]:
    """See converters.base.Convert."""
    method = replace(_method(options), exact_bias=False)
    source = _Source.read(model, info, calibration, options)
    quantized = quantize(
        source.floating,
        source.pictures,
        method,
        source.outputs,
        # A corrected bias suits the graph in which everything is quantized, not one layer alone.
        disable_bias_correction=True,
        backend_params={"compress_weights": False},
    )
    spread = np.linspace(0, len(source.pictures) - 1, RANKED_ON).round().astype(int)
    return rank(source.floating, quantized, [source.pictures[i] for i in spread])


def _method(options: Options) -> Method:
    return lookup(_METHODS, options.method or METHODS[0], "method")


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
