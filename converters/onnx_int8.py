"""Checkpoint to 8-bit ONNX: static quantization in QDQ form, by ONNX Runtime.

Weights are signed with one scale per channel. Activations are unsigned on x86 (U8S8: signed ones
take twice as long there, unsigned weights fifteen times) and signed on arm64 (S8S8: what its dot
product instructions multiply). Either file runs on either processor with nearly the same numbers.
x86 cores without VNNI (before about 2019) may saturate when they add products in 16 bits: measure
an artifact on such a device before relying on it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

import onnx
from onnxruntime.quantization import QuantType
from torch import nn

from converters import onnx_ranges, torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import INPUT, ExportGraph, export_graph
from converters.failure import reason
from converters.onnx_nodes import float_nodes
from converters.onnx_pixels import pixel_quantization, take_pixels, take_planes
from converters.onnx_quantize import Scheme, quantize
from converters.onnx_ranges import Feed, Range
from converters.onnx_sensitivity import rank_nodes
from converters.quiet import quiet
from converters.steps import Tick, silent
from edge_pose.errors import EdgePoseError
from edge_pose.lookup import lookup
from edge_pose.manifest import Quantization
from edge_pose.preprocess import to_tensor
from training.checkpoint import CheckpointInfo

METHODS = onnx_ranges.METHODS
"""MinMax is first: the others clip little worth clipping where ReLU6 bounds the numbers."""

SCHEMES = {
    "x86_64": Scheme("U8S8 per channel", QuantType.QUInt8),
    "aarch64": Scheme("S8S8 per channel", QuantType.QInt8),
}
ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}  # Windows, macOS


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert; `calibration` is needed."""
    arch, scheme = _scheme(options.arch)
    method = options.method or METHODS[0]
    source = _Source.open(model, info, calibration, options)
    unknown = sorted(set(options.float_layers) - set(source.layers))
    if unknown:
        raise EdgePoseError(f"float layer '{unknown[0]}': not a layer of the ONNX graph")
    ranges = source.ranges(method)
    floating = (*float_nodes(source.floating.graph), *options.float_layers)
    quantized = quantize(source.floating, ranges, scheme, floating, source.pixels)
    graph = source.graph
    if source.pixels is not None:
        take_pixels(quantized, source.pixels)
        if options.fold.pixels:
            take_planes(quantized)
        else:
            update = {"dtype": "uint8", "quantization": source.pixels}
            graph = replace(graph, input=graph.input.model_copy(update=update))
    return Converted(
        model=torch_onnx.anonymous(quantized).SerializeToString(deterministic=True),
        file_name=torch_onnx.FILE_NAME,
        format="onnx",
        precision="int8",
        backend="onnxruntime",
        graph=graph,
        arch=arch,
        method=method,
        scheme=scheme.name,
        float_layers=options.float_layers,
        tools={**torch_onnx.versions(torch_onnx.TOOLS), "onnxruntime": version("onnxruntime")},
    )


def rank_layers(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
    tick: Tick = silent,
) -> tuple[str, ...]:
    """Order the layers by how much the outputs change when one alone is quantized, worst first.

    Raises:
        EdgePoseError: as `convert`.
    """
    _, scheme = _scheme(options.arch)
    source = _Source.open(model, info, calibration, options)
    ranges = source.ranges(options.method or METHODS[0])
    return rank_nodes(source.floating, source.layers, list(source.feeds()), ranges, scheme, tick)


def _scheme(arch: str) -> tuple[str, Scheme]:
    """Return the processor and what suits it."""
    name = (arch or platform.machine()).lower()
    name = ALIASES.get(name, name)
    return name, lookup(SCHEMES, name, "processor of 8-bit ONNX")


@dataclass(frozen=True, slots=True)
class _Source:
    """The float graph that is quantized.

    Attributes:
        graph: what was asked for.
        floating: the graph in ONNX; where pixels can be taken exactly, they are folded later.
        pixels: how they are taken exactly; None where that cannot be done.
        calibration: the pictures.
    """

    graph: ExportGraph
    floating: onnx.ModelProto
    pixels: Quantization | None
    calibration: CalibrationSet

    @classmethod
    def open(
        cls,
        model: nn.Module,
        info: CheckpointInfo,
        calibration: CalibrationSet | None,
        options: Options,
    ) -> _Source:
        if calibration is None:
            raise EdgePoseError("int8: no calibration pictures given")
        pixels = pixel_quantization(info.input_spec)
        graph = export_graph(model, info, options.fold)
        exported = graph
        if pixels is not None and options.fold.pixels:
            exported = export_graph(model, info, replace(options.fold, pixels=False))
        floating = torch_onnx.export(exported.module, exported.example, exported.names)
        return cls(graph, floating, pixels, calibration)

    @property
    def layers(self) -> tuple[str, ...]:
        """Nodes that may be quantized or not."""
        always_float = float_nodes(self.floating.graph)
        return tuple(n.name for n in self.floating.graph.node if n.name not in always_float)

    def feeds(self) -> Iterator[Feed]:
        """Inputs of the float graph."""
        spec = self.graph.input.spec
        if self.pixels is not None:
            spec = replace(spec, layout="nchw", dtype="float32")
        crops = self.calibration.crops
        return ({INPUT: to_tensor(crops[i : i + 1], spec)} for i in range(len(crops)))

    def ranges(self, method: str) -> dict[str, Range]:
        """Run the calibration pictures."""
        try:
            with quiet():
                return onnx_ranges.collect_ranges(self.floating, self.feeds, method)
        except EdgePoseError:
            raise
        except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no base class
            raise EdgePoseError(f"ONNX to int8: cannot quantize: {reason(error)}") from None
