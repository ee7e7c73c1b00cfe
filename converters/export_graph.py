"""The graph that leaves the workshop: the network's prediction and what is folded into it.

Every format is made from the same torch module, so that they differ in nothing but their format.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from converters.graph_decoder import HeatmapDecoder
from edge_pose.errors import UsageError
from edge_pose.manifest import Decoder, InputTensor, OutputTensor
from edge_pose.preprocess import InputSpec
from training.checkpoint import CheckpointInfo
from training.registry import InParts

log = logging.getLogger(__name__)

INPUT = "image"
OUTPUTS = {
    "top_down": ("heatmaps",),
    "bottom_up": ("heatmaps_and_tags", "fine_heatmaps"),
    "detector": ("centers",),
}
PARTS = {
    "bottom_up": {
        "heatmaps": "heatmaps_and_tags",
        "tags": "heatmaps_and_tags",
        "fine_heatmaps": "",
    },
    "detector": {"center_logits": "centers", "offsets": "centers", "sizes": "centers"},
}
"""Outputs of one kind of channels each, and which of OUTPUTS each is a part of, "" for a whole."""
DECODERS: dict[str, Literal["heatmap", "associative_embedding", "centers"]] = {
    "top_down": "heatmap",
    "bottom_up": "associative_embedding",
    "detector": "centers",
}


@dataclass(frozen=True, slots=True)
class Fold:
    """What becomes part of the graph.

    Attributes:
        pixels: it takes (1, h, w, 3) uint8 pixels in the network's colour order and normalises.
        decoder: it returns keypoints instead of heatmaps; top-down networks only.
    """

    pixels: bool = False
    decoder: bool = False


@dataclass(frozen=True, slots=True)
class ExportGraph:
    """A torch module that maps one tensor to a tuple of tensors, and what the manifest says of it.

    Attributes:
        module: in evaluation mode.
        example: the input of its only size, zeros.
        input: float32 "nchw", or uint8 "nhwc" where pixels are folded.
        outputs: in the module's order, float32; "nkhw", or "nkc" where the decoder is folded.
        decoder: what is left to do with the outputs.
        contains: what was folded.
    """

    module: nn.Module
    example: Tensor
    input: InputTensor
    outputs: tuple[OutputTensor, ...]
    decoder: Decoder
    contains: tuple[Literal["normalization", "decoder"], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(output.name for output in self.outputs)


def export_graph(
    model: nn.Module, info: CheckpointInfo, fold: Fold | None = None, *, apart: bool = False
) -> ExportGraph:
    """Return the graph of a checkpoint's prediction for one picture.

    Args:
        model: in evaluation mode.
        info: of its checkpoint.
        fold: nothing by default.
        apart: outputs as in PARTS, where the network has them (training.registry.InParts). Integers
            want that: a tensor has one scale.

    Raises:
        UsageError: a network of this task has no artifact, or no decoder that can be folded.
    """
    fold = fold or Fold()
    entry, spec = info.entry, info.input_spec
    _check_task(info, fold)
    decoder = Decoder(name=DECODERS[entry.task], kind=info.heatmap_kind, stride=entry.stride)
    width, height = spec.size
    module: nn.Module = Prediction(model, entry.task)
    names, layout = dict.fromkeys(OUTPUTS[entry.task], ""), "nkhw"
    if apart and entry.task in PARTS:
        if callable(getattr(type(model), "parts", None)):
            module, names = PredictionInParts(cast("InParts", model)), PARTS[entry.task]
        else:
            log.warning(
                "model %s: has no `parts`, channels of several kinds share one scale: this costs"
                " accuracy, see training.registry.InParts",
                info.model,
            )
    if fold.decoder:
        module = nn.Sequential(module, HeatmapDecoder(entry.stride, info.heatmap_kind))
        decoder = decoder.model_copy(update={"name": "keypoints"})
        names, layout = {"keypoints": ""}, "nkc"
    example = torch.zeros(1, 3, height, width)
    if fold.pixels:
        module = nn.Sequential(Normalization(spec.mean, spec.std), module)
        example = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    module.eval()
    with torch.no_grad():
        shapes = [tuple(output.shape) for output in module(example)]
    return ExportGraph(
        module=module,
        example=example,
        input=_input(spec, pixels=fold.pixels),
        outputs=tuple(
            OutputTensor(name=name, layout=layout, shape=shape, dtype="float32", part_of=whole)
            for (name, whole), shape in zip(names.items(), shapes, strict=True)
        ),
        decoder=decoder,
        contains=_contains(fold),
    )


def _check_task(info: CheckpointInfo, fold: Fold) -> None:
    task = info.entry.task
    if task not in OUTPUTS:
        raise UsageError(f"model {info.model}: is a {task}, artifacts are of {', '.join(OUTPUTS)}")
    if fold.decoder and task != "top_down":
        raise UsageError(f"model {info.model}: the decoder of a {task} network stays outside")


def _input(spec: InputSpec, *, pixels: bool) -> InputTensor:
    return InputTensor(
        name=INPUT,
        size=spec.size,
        layout="nhwc" if pixels else "nchw",
        dtype="uint8" if pixels else "float32",
        color=spec.color,
        mean=spec.mean,
        std=spec.std,
    )


def _contains(fold: Fold) -> tuple[Literal["normalization", "decoder"], ...]:
    parts: list[Literal["normalization", "decoder"]] = []
    if fold.pixels:
        parts.append("normalization")
    if fold.decoder:
        parts.append("decoder")
    return tuple(parts)


class Prediction(nn.Module):
    """A registered network reduced to what is decoded: no intermediate stages."""

    def __init__(self, model: nn.Module, task: str) -> None:
        super().__init__()
        self.model, self.all = model, task == "bottom_up"

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, h, w) -> the maps that edge_pose.decoding wants."""
        outputs = tuple(self.model(image))
        return outputs if self.all else outputs[-1:]


class PredictionInParts(nn.Module):
    """The same in one tensor for each kind of channels."""

    def __init__(self, model: InParts) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, h, w) -> the outputs of PARTS."""
        return tuple(self.model.parts(image))


class Normalization(nn.Module):
    """Pixels to the network's input; mean and std per channel on the 0..255 scale."""

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.mean: Tensor
        self.factor: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("factor", (1 / torch.tensor(std)).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, h, w, 3) uint8 -> (N, 3, h, w) float32."""
        planes = pixels.permute(0, 3, 1, 2).float()
        normalized: Tensor = (planes - self.mean) * self.factor
        return normalized
