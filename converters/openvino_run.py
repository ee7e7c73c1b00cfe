"""Run OpenVINO graphs on pictures, to compare an integer one with the float one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.openvino_graph import Model
from edge_pose.backends.openvino import shared_core
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import FloatArray, Image

Tensor = NDArray[np.float32] | NDArray[np.uint8]
Outputs = list[FloatArray]
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Crops as inputs of a network; each is made when it is asked for.

    Attributes:
        crops: (N, h, w, 3) uint8 BGR.
        spec: how the network wants them.
    """

    crops: Image
    spec: InputSpec

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> Tensor:
        return to_tensor(self.crops[index : index + 1], self.spec)


def run_graph(model: Model, tensors: Iterable[Tensor]) -> list[Outputs]:
    """Return all outputs for each tensor, computed on the CPU."""
    return run_compiled(shared_core().compile_model(model, "CPU", EXACT), tensors)


def run_compiled(compiled: Any, tensors: Iterable[Tensor]) -> list[Outputs]:  # noqa: ANN401
    """The same for a compiled model."""
    request, found = compiled.create_infer_request(), []
    for tensor in tensors:
        request.infer([tensor])
        found.append([np.array(value.data) for value in request.output_tensors])
    return found
