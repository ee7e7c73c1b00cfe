"""What a converter is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import nn

from converters.calibration import CalibrationSet
from converters.export_graph import ExportGraph, Fold
from edge_pose.manifest import Format, Precision
from training.checkpoint import CheckpointInfo


@dataclass(frozen=True, slots=True)
class Options:
    """How to convert; every converter takes what concerns it.

    Attributes:
        fold: what becomes part of the graph.
        arch: processor, as `uname -m` says it, for which integers are chosen; empty: this one.
        method: how number ranges are found, one of the converter's METHODS; empty: its first.
        float_layers: layers that stay float, by names of the converter's `rank_layers`.
        integer_io: inputs and outputs of a full int8 TFLite graph are integers, too.
    """

    fold: Fold = field(default_factory=Fold)
    arch: str = ""
    method: str = ""
    float_layers: tuple[str, ...] = ()
    integer_io: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """A model in its new format, in memory, and how it wants to be used.

    Attributes:
        model: content of the model file.
        file_name: name of the model file.
        format: of the model file.
        precision: what it computes in.
        backend: the runtime that it was made for, a key of edge_pose.backends.BACKENDS.
        graph: inputs, outputs and content of the graph, as the model file has them.
        weights: content of the weights file, for formats that have one.
        weights_name: name of the weights file; empty where there is none.
        arch: processor that its integers suit, empty for any.
        method: how the number ranges were found; empty where nothing was calibrated.
        scheme: integers of activations and weights, for example "U8S8 per channel".
        float_layers: layers of an integer model that stayed float.
        tools: PyPI names and versions of what made it.
    """

    model: bytes
    file_name: str
    format: Format
    precision: Precision
    backend: str
    graph: ExportGraph
    weights: bytes | None = None
    weights_name: str = ""
    arch: str = ""
    method: str = ""
    scheme: str = ""
    float_layers: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)


class Convert(Protocol):
    """Converts a float network; the function `convert` of each module in converters.CONVERTERS.

    Modules of calibrated converters also have
        METHODS: tuple[str, ...]: ways to find number ranges, the best first;
        rank_layers(model, info, calibration, options, tick) -> tuple[str, ...]: the layers by the
            damage that their integers do, measured on the calibration pictures, worst first;
            `tick` (converters.steps.Tick) is told of each measurement.
    """

    def __call__(
        self,
        model: nn.Module,
        info: CheckpointInfo,
        calibration: CalibrationSet | None,
        options: Options,
    ) -> Converted:
        """Convert.

        Args:
            model: in evaluation mode; see training.registry for what it maps to what.
            info: of its checkpoint.
            calibration: None where the converter's table entry does not ask for it.
            options: see there.

        Raises:
            EdgePoseError: the network cannot be converted.
        """
        ...
