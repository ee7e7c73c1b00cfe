"""The table of trainable networks: one function per network, registered under its own name.

Every registered network maps (N, 3, h, w) float32 to a list of tensors that its task explains:

- top_down, one person per input: heatmaps (N, K, h/stride, w/stride), one tensor per supervised
  stage, the last one is the prediction.
- bottom_up, everybody in the input: (N, 2K, h/stride, w/stride), K heatmaps and then K tag maps,
  and (N, K, 2h/stride, 2w/stride) finer heatmaps.
- detector: (N, 5, h/stride, w/stride) per supervised stage: logits of a box's centre, the offset
  (x, y) of the centre within its cell and the size (w, h) of the box, both in map px.
- classifier: (N, classes) logits.

Networks of the tasks bottom_up and detector can have `parts`, see InParts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from edge_pose.decoding.heatmap import KINDS
from edge_pose.lookup import lookup
from edge_pose.skeleton import keypoint_format

if TYPE_CHECKING:
    from torch import Tensor, nn

TASKS = ("top_down", "bottom_up", "detector", "classifier")

Builder = TypeVar("Builder", bound="Callable[..., nn.Module]")


@runtime_checkable
class InParts(Protocol):
    """A network that also gives its prediction in one tensor for each kind of channels.

    Integer graphs need it: a tensor has one scale, and sizes reach much farther than logits.
    """

    def parts(self, x: Tensor) -> list[Tensor]:
        """(N, 3, h, w) -> the last tensors of `forward`, cut along the channels.

        bottom_up: K heatmaps, K tag maps, K finer heatmaps; detector: 1 logit, 2 offsets, 2 sizes.
        They must not be slices of one tensor: that would share its scale with them.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One registered network and the defaults it is trained and exported with.

    Attributes:
        name: the registered function's name.
        build: returns a new network; keyword arguments, where it has any, are the function's own.
        task: one of TASKS, see above.
        input_size: (w, h) px.
        keypoint_format: name of the keypoint format, see edge_pose.skeleton.
        stride: input px per heatmap px.
        heatmap_kind: "logits" or "gaussian", see edge_pose.decoding.heatmap.
        mean: per channel in `color` order, on the 0..255 scale.
        std: per channel in `color` order, on the 0..255 scale.
        color: "rgb" or "bgr".
        summary: first line of the function's docstring.
        paper: link to the source of the architecture; empty for our own.
    """

    name: str
    build: Callable[..., nn.Module]
    task: str
    input_size: tuple[int, int]
    keypoint_format: str
    stride: int
    heatmap_kind: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color: str
    summary: str
    paper: str


MODELS: dict[str, ModelEntry] = {}
"""Filled when `training.models` is imported; read it through `get_model` and `model_names`."""


def register_model(
    *,
    task: str = "top_down",
    input_size: tuple[int, int] = (256, 256),
    keypoints: str = "mpii16",
    stride: int = 4,
    heatmap_kind: str = "logits",
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5),
    std: tuple[float, float, float] = (127.5, 127.5, 127.5),
    color: str = "rgb",
    paper: str = "",
) -> Callable[[Builder], Builder]:
    """Register the decorated function under its name; it must be callable without arguments.

    The arguments are the fields of ModelEntry.

    Raises:
        UsageError: the keypoint format is unknown.
        ValueError: the name is taken, the function has no docstring or needs arguments, or one of
            the arguments is out of range.
    """
    keypoint_format(keypoints)  # raises for an unknown name
    if task not in TASKS:
        raise ValueError(f"task: found '{task}', expected one of {', '.join(TASKS)}")
    if heatmap_kind not in KINDS:
        raise ValueError(f"heatmap_kind: found '{heatmap_kind}', expected {' or '.join(KINDS)}")
    if color not in ("rgb", "bgr"):
        raise ValueError(f"color: found '{color}', expected rgb or bgr")
    if stride < 1 or input_size[0] % stride or input_size[1] % stride:
        raise ValueError(f"input_size: found {input_size}, expected multiples of stride {stride}")

    def register(function: Builder) -> Builder:
        name = function.__name__
        if name in MODELS:
            raise ValueError(f"model '{name}': registered twice")
        MODELS[name] = ModelEntry(
            name=name,
            build=function,
            task=task,
            input_size=input_size,
            keypoint_format=keypoints,
            stride=stride,
            heatmap_kind=heatmap_kind,
            mean=mean,
            std=std,
            color=color,
            summary=_summary(function),
            paper=paper,
        )
        return function

    return register


def get_model(name: str) -> ModelEntry:
    """Return the entry of a registered network.

    Raises:
        UsageError: no network has this name; the message suggests the nearest one.
    """
    import_module("training.models")
    return lookup(MODELS, name, "model")


def build_model(name: str, arguments: Mapping[str, object]) -> nn.Module:
    """Build a registered network with keyword arguments of its function.

    Raises:
        UsageError: no network has this name, or its function takes no such argument.
    """
    entry = get_model(name)
    parameters = inspect.signature(entry.build).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        known = {parameter.name: parameter for parameter in parameters}
        for argument in arguments:
            lookup(known, argument, f"argument of model {name}")
    return entry.build(**arguments)


def model_names() -> tuple[str, ...]:
    """Return the names of all registered networks, sorted."""
    import_module("training.models")
    return tuple(sorted(MODELS))


def _summary(function: Callable[..., object]) -> str:
    name = function.__name__
    for parameter in inspect.signature(function).parameters.values():
        needed = parameter.default is inspect.Parameter.empty
        if needed and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"model '{name}': argument '{parameter.name}' needs a default")
    text = inspect.getdoc(function)
    if not text:
        raise ValueError(f"model '{name}': the function needs a docstring, its summary")
    return text.splitlines()[0]
