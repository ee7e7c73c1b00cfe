"""Checkpoint to OpenVINO IR with weights of 16 bits: half the size, and what GPUs and NPUs compute.

CPUs unpack the weights while they compile and compute in float32.
"""

from __future__ import annotations

from torch import nn

from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import export_graph
from converters.openvino_graph import converted, read_graph
from training.checkpoint import CheckpointInfo


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,  # noqa: ARG001 - every converter's signature
    options: Options,
) -> Converted:
    """See converters.base.Convert."""
    graph = export_graph(model, info, options.fold)
    return converted(graph, read_graph(graph), "fp16")
