"""A network behind one face, whether torch computes it or the runtime of an exported artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import available_cores, open_backend
from edge_pose.backends.base import Backend
from edge_pose.errors import UsageError
from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import KeypointFormat, keypoint_format
from edge_pose.types import FloatArray
from training.checkpoint import CheckpointInfo, load_checkpoint

Tensor: TypeAlias = NDArray[np.float32] | NDArray[np.uint8]


class Predictor(Protocol):
    """Anything that maps crops to heatmaps.

    Attributes:
        spec: how the network wants its input.
        stride: input px per heatmap px.
        heatmap_kind: "logits" or "gaussian".
        keypoints: what the heatmaps are of.
    """

    spec: InputSpec
    stride: int
    heatmap_kind: str
    keypoints: KeypointFormat

    def heatmaps(self, tensor: Tensor) -> FloatArray:
        """Map an input tensor (N, …) to (N, K, H, W) heatmaps.

        A graph that decodes itself returns (N, K, 3): x and y in input px and the score.
        """
        ...


class Network(Predictor, Protocol):
    """A network of any task.

    Attributes:
        name: of the model or the artifact.
        task: see training.registry.
        trained_on: per data set the persons seen in training, see checkpoint.pack_persons.
    """

    name: str
    task: str
    trained_on: Mapping[str, str]

    def maps(self, tensor: Tensor) -> list[FloatArray]:
        """Map an input tensor (N, …) to the outputs that are decoded, (N, C, H, W) each."""
        ...

    def resized(self, size: tuple[int, int]) -> Network:
        """Return the same network for inputs of another size (w, h).

        Raises:
            UsageError: it takes inputs of one size only.
        """
        ...


class NetworkPredictor:
    """A torch network in float32.

    Args:
        model: the network.
        info: of its checkpoint.
        device: where it is; by default that of its parameters.
    """

    def __init__(
        self, model: nn.Module, info: CheckpointInfo, device: torch.device | None = None
    ) -> None:
        self.model, self.info = model.eval(), info
        self.device = device or next(model.parameters()).device
        self.name, self.task = info.model, info.entry.task
        self.trained_on: Mapping[str, str] = info.trained_on
        self.spec = info.input_spec
        self.stride = info.entry.stride
        self.heatmap_kind = info.heatmap_kind
        self.keypoints = keypoint_format(info.keypoint_format)

    @torch.no_grad()
    def maps(self, tensor: Tensor) -> list[FloatArray]:
        """Run one batch (N, 3, h, w) float32."""
        outputs = self.model(torch.from_numpy(tensor).to(self.device))
        if self.task != "bottom_up":  # stages: the last one is the prediction
            outputs = outputs[-1:]
        return [output.float().cpu().numpy() for output in outputs]

    def heatmaps(self, tensor: Tensor) -> FloatArray:
        """Run one batch (N, 3, h, w) float32."""
        return self.maps(tensor)[-1]

    def resized(self, size: tuple[int, int]) -> NetworkPredictor:
        """See Network."""
        return NetworkPredictor(self.model, replace(self.info, input_size=size), self.device)


class ArtifactPredictor:
    """An exported artifact in its runtime, as a device runs it: one crop at a time."""

    def __init__(self, artifact: Artifact, backend: Backend) -> None:
        manifest = artifact.manifest
        self.artifact, self.backend = artifact, backend
        self.name = manifest.name
        self.task: str = manifest.task
        self.trained_on: Mapping[str, str] = manifest.origin.trained_on
        self.spec = manifest.input.spec
        self.stride = manifest.decoder.stride
        self.heatmap_kind: str = manifest.decoder.kind
        self.keypoints = manifest.keypoint_format.format

    def maps(self, tensor: Tensor) -> list[FloatArray]:
        """Run (N, …) of the manifest's dtype and layout."""
        outputs = [self.backend.run(one[None]) for one in tensor]
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]

    def heatmaps(self, tensor: Tensor) -> FloatArray:
        """Run (N, …) of the manifest's dtype and layout."""
        return self.maps(tensor)[-1]

    def resized(self, size: tuple[int, int]) -> ArtifactPredictor:
        """See Network."""
        if size == self.spec.size:
            return self
        own = "×".join(map(str, self.spec.size))
        raise UsageError(f"artifact {self.name}: takes inputs of {own} px only")


def open_predictor(path: str) -> tuple[Network, CheckpointInfo | Artifact]:
    """Open a checkpoint file, an artifact folder or the name of a shipped artifact.

    Raises:
        EdgePoseError: it is none of them, or damaged.
    """
    if Path(path).is_file():
        model, info = load_checkpoint(Path(path))
        return NetworkPredictor(model, info, torch.device("cpu")), info
    artifact = load_artifact(path, trust_ungated=True)  # measuring is how trust begins
    backend = open_backend(artifact, threads=available_cores())
    return ArtifactPredictor(artifact, backend), artifact
