"""What a converter is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import nn

from converters.calibration import CalibrationSet
from edge_pose.artifact import InputTensor, OutputTensor
from training.checkpoint import CheckpointInfo

INPUT, OUTPUT = "image", "heatmaps"


@dataclass(frozen=True, slots=True)
class Converted:
    """A model in its new format, in memory, and how it wants to be used.

    Attributes:
        model: content of the model file.
        file_name: name of the model file.
        format: "onnx".
        precision: what the weights are stored in.
        backend: the runtime that it was made for, a key of edge_pose.backends.BACKENDS.
        input: for the manifest.
        output: for the manifest.
        method: how the number ranges were found; empty where nothing was calibrated.
        tools: PyPI names and versions of what made it.
    """

    model: bytes
    file_name: str
    format: str
    precision: Literal["fp32", "fp16", "int8"]
    backend: str
    input: InputTensor
    output: OutputTensor
    method: str = ""
    tools: dict[str, str] = field(default_factory=dict)


class Convert(Protocol):
    """Converts a float network; one function per entry of converters.CONVERTERS."""

    def __call__(
        self, model: nn.Module, info: CheckpointInfo, calibration: CalibrationSet | None
    ) -> Converted:
        """Convert.

        Args:
            model: in evaluation mode; see training.registry for what it maps to what.
            info: of its checkpoint.
            calibration: None where the converter's table entry does not ask for it.

        Raises:
            EdgePoseError: the network cannot be converted.
        """
        ...
