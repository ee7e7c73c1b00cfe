"""A network of any task as a plain ONNX graph, without manifest and gate.

Artifacts are for networks that the runtime runs: one person per input. The graph of every other
network can be had like this, compared with torch on a picture of noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from converters.folder import check_file, write_file
from converters.torch_onnx import export
from edge_pose.errors import EdgePoseError
from training.checkpoint import load_checkpoint
from training.registry import get_model

TOLERANCE = 1e-4  # of the largest value of an output


@dataclass(frozen=True, slots=True)
class Graph:
    """What was written.

    Attributes:
        file: the ONNX file, float32, batch of one.
        model: registry name.
        task: what the outputs mean, see training.registry.
        outputs: shape by name.
        difference: largest difference from torch, relative to the output's largest value.
    """

    file: Path
    model: str
    task: str
    outputs: dict[str, tuple[int, ...]]
    difference: float


def write_graph(checkpoint: Path, file: Path) -> Graph:
    """Export all outputs of a checkpoint's network and compare them with torch.

    Raises:
        EdgePoseError: the checkpoint or the file is wrong, the exporter cannot express the network
            or the graph gives something else than torch; no file is left then.
    """
    check_file(file)
    model, info = load_checkpoint(checkpoint)
    task = get_model(info.model).task
    width, height = info.input_size
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = [output.numpy() for output in model(image)]
    names = [f"{task}_{index}" for index in range(len(expected))]
    data = export(_AsTuple(model), torch.zeros_like(image), names).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = session.run(names, {session.get_inputs()[0].name: image.numpy()})
    difference = max(
        float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-6))
        for ours, theirs in zip(expected, found, strict=True)
    )
    if not difference <= TOLERANCE:  # also where it is not a number
        raise EdgePoseError(f"{checkpoint}: the graph differs from torch by {difference:.1e}")
    write_file(file, data)
    shapes = {name: value.shape for name, value in zip(names, found, strict=True)}
    return Graph(file, info.model, task, shapes, difference)


class _AsTuple(nn.Module):
    """The exporter names the members of a tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.model(image))
