"""The content of an artifact's `manifest.json`.

Everything that a device has to know about a model file is written here; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import KeypointFormat

SCHEMA = "edge_pose.artifact/2"
READABLE = ("edge_pose.artifact/1", SCHEMA)
"""What this version reads: 1 had top-down heatmap networks in one file only, 2 adds fields."""

SHA256 = r"^[0-9a-f]{64}$"
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
MAX_SIDE = 1 << 14
"""Longest side of a tensor: more than any network of ours, and no gigabytes for a few digits."""
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
# What float32 computes with: no overflow, and no division by what is as good as nothing.
Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Spread = Annotated[float, Field(ge=1e-6, le=1e6)]
Format = Literal["onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "dynamic_int8", "int8"]
Task = Literal["top_down", "bottom_up", "detector"]


class _Table(BaseModel):
    # No figure is infinite or no number; what still holds one is not written as if it were missing.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class WeightsFile(_Table):
    """The second file of formats that keep the weights apart (OpenVINO IR)."""

    name: str = Field(pattern=FILE_NAME, description="no folders: it lies beside")
    sha256: str = Field(pattern=SHA256)
    size_bytes: int = Field(gt=0)


class ModelFile(_Table):
    """The model file beside the manifest."""

    name: str = Field(pattern=FILE_NAME, description="no folders: it lies beside")
    format: Format
    precision: Precision
    sha256: str = Field(pattern=SHA256)
    size_bytes: int = Field(gt=0)
    backend: str = Field(description="runtime that it was made and gated for")
    arch: str = Field("", description="processor that its integers suit, `uname -m`; empty: any")
    weights: WeightsFile | None = None

    @property
    def total_bytes(self) -> int:
        """Size of model and weights."""
        return self.size_bytes + (self.weights.size_bytes if self.weights else 0)


class Quantization(_Table):
    """real = (stored - zero_point) * scale."""

    scale: float = Field(gt=0)
    zero_point: int


class InputTensor(_Table):
    """What the network is given."""

    name: str
    size: tuple[Side, Side] = Field(description="w, h in px")
    layout: Literal["nchw", "nhwc"]
    dtype: Literal["float32", "uint8", "int8"]
    color: Literal["rgb", "bgr"]
    mean: tuple[Mean, Mean, Mean] = Field(
        description="per channel in the colour order, 0..255 scale"
    )
    std: tuple[Spread, Spread, Spread]
    quantization: Quantization | None = None

    @property
    def spec(self) -> InputSpec:
        """The same for edge_pose.preprocess; pixels become int8 in the runtime."""
        dtype = "float32" if self.dtype == "float32" else "uint8"
        return InputSpec(self.size, self.color, self.layout, dtype, self.mean, self.std)


class OutputTensor(_Table):
    """What the graph returns; the runtime hands maps on as (n, k, h, w) float32.

    "nkc" is decoded keypoints: (n, k, 3) float32, x and y in input px and a score in [0, 1].
    """

    name: str
    layout: Literal["nkhw", "nhwk", "nkc"]
    shape: tuple[Side, ...]
    dtype: Literal["float32", "uint8", "int8"]
    quantization: Quantization | None = None
    part_of: str = Field(
        "", description="map whose channels this and the outputs beside it hold; empty: a whole one"
    )


class Decoder(_Table):
    """How outputs become keypoints or boxes; the names are modules of edge_pose.decoding.

    "keypoints" needs none: the graph decodes.
    """

    name: Literal["heatmap", "keypoints", "associative_embedding", "centers"]
    kind: Literal["logits", "gaussian"]
    stride: Side = Field(description="input px per heatmap px")


class Keypoints(_Table):
    """The keypoint format, written out so that a reader needs no table; a detector has none."""

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int], ...]
    sigmas: tuple[Spread, ...]

    @property
    def format(self) -> KeypointFormat:
        """The same as a KeypointFormat."""
        return KeypointFormat(self.name, self.keypoints, self.flip_pairs, self.edges, self.sigmas)

    @model_validator(mode="after")
    def _consistent(self) -> Keypoints:
        count = len(self.keypoints)
        if len(self.sigmas) != count:
            raise ValueError(f"{len(self.sigmas)} sigmas for {count} keypoints")
        indices = {index for pair in self.flip_pairs + self.edges for index in pair}
        if wrong := sorted(indices - set(range(count))):
            raise ValueError(f"flip_pairs or edges name keypoint {wrong[0]} of {count}")
        return self


class Origin(_Table):
    """Where the weights come from."""

    model: str = Field(description="registry name")
    checkpoint_sha256: str = Field(pattern=SHA256)
    params: int = Field(gt=0)
    macs: int = Field(gt=0, description="multiply-accumulates of convolutions, one input")
    recipe: dict[str, Any] = Field(default_factory=dict)
    trained_on: dict[str, str] = Field(
        default_factory=dict, description="per data set: persons seen, base64 bit set"
    )
    data_sha256: str = ""


class Calibration(_Table):
    """The pictures that the quantizer saw."""

    dataset: str
    n_images: int = Field(gt=0)
    sha256: str = Field(pattern=SHA256)
    method: str
    scheme: str = Field("", description="integers of activations and weights, such as U8S8")
    float_layers: tuple[str, ...] = Field((), description="kept float: they were too sensitive")


class Drift(_Table):
    """How far the artifact's keypoints lie from the checkpoint's, input px."""

    p50_px: float
    p95_px: float


class GatePart(_Table):
    """Accuracy on the persons of one data set, by its own metric, percent."""

    dataset: str
    metric: str
    n_persons: int = Field(gt=0)
    checkpoint_accuracy: float
    artifact_accuracy: float


class Gate(_Table):
    """Artifact against float checkpoint on the same pictures.

    Keypoints of networks that see one person at a time; for bottom-up ones those of the same
    people, for detectors the corners of the same boxes.
    """

    passed: bool
    dataset: str
    metric: str
    n_persons: int = Field(gt=0)
    checkpoint_accuracy: float = Field(description="percent")
    artifact_accuracy: float = Field(description="percent")
    limit_points: float = Field(description="largest fall that passes")
    drift_p50_px: float = Field(description="between both keypoints, input px")
    drift_p95_px: float
    limit_drift_px: float | None = Field(None, description="largest p95 that passes, input px")
    limit_median_px: float | None = Field(None, description="largest p50 that passes, input px")
    argmax_agreement: float = Field(ge=0, le=1, description="keypoints within one heatmap px")
    min_agreement: float | None = Field(None, description="lowest agreement that passes")
    joint_agreement: dict[str, float] = Field(
        default_factory=dict, description="the same by keypoint, where there are enough of them"
    )
    min_joint_agreement: float | None = Field(None, description="lowest by keypoint that passes")
    lost_people: float | None = Field(
        None, ge=0, le=1, description="share that the checkpoint is sure of, not the artifact's"
    )
    invented_people: float | None = Field(
        None, ge=0, le=1, description="share that the artifact is sure of, not the checkpoint's"
    )
    limit_people: float | None = Field(None, description="largest share of either that passes")
    score_drift_p95: float | None = Field(
        None, description="between both scores of the same keypoints or boxes"
    )
    limit_score_drift: float | None = Field(None, description="largest p95 that passes")
    same_side: float | None = Field(
        None, description="keypoints or boxes that both score above what a device shows, or below"
    )
    min_same_side: float | None = Field(None, description="lowest share that passes")
    map_correlation: float | None = Field(
        None, description="lowest of the checkpoint's maps that are not flat; 1: equal"
    )
    min_correlation: float | None = Field(None, description="lowest correlation that passes")
    map_gain: float | None = Field(
        None, description="artifact's maps in the checkpoint's scale, the map farthest from 1"
    )
    max_gain: float | None = Field(None, description="largest factor that passes, up or down")
    map_offset: float | None = Field(
        None, description="largest shift of a map's mean, in its standard deviations"
    )
    max_offset: float | None = Field(None, description="largest shift that passes")
    broken: bool = Field(
        False, description="outputs are no numbers or all the same, or nothing could be compared"
    )
    per_group: dict[str, float | None] = Field(default_factory=dict)
    per_joint: dict[str, Drift] = Field(default_factory=dict)
    output_range: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="smallest and largest output: checkpoint, artifact"
    )
    parts: tuple[GatePart, ...] = ()
    reasons: tuple[str, ...] = Field((), description="limits that were missed")
    data_sha256: str = Field("", description="over annotations and pictures that were measured on")

    @property
    def stated(self) -> GatePart:
        """The accuracy to quote and to compare: one data set's by its own metric.

        AP where it was measured, else MPII's PCKh, else the first data set's figure; all of them
        together where the report tells no parts.
        """
        by_metric = sorted(
            self.parts,
            key=lambda p: (not p.metric.startswith("AP"), not p.metric.startswith("PCKh")),
        )
        return (
            by_metric[0]
            if by_metric
            else GatePart(
                dataset=self.dataset,
                metric=self.metric,
                n_persons=self.n_persons,
                checkpoint_accuracy=self.checkpoint_accuracy,
                artifact_accuracy=self.artifact_accuracy,
            )
        )


class Attempt(_Table):
    """One try of the converter on its way to this artifact."""

    precision: Precision
    method: str = ""
    n_images: int = 0
    float_layers: int = 0
    size_bytes: int = Field(gt=0)
    artifact_accuracy: float
    drift_p95_px: float
    argmax_agreement: float
    passed: bool


class Manifest(_Table):
    """The content of manifest.json."""

    schema_: Literal["edge_pose.artifact/1", "edge_pose.artifact/2"] = Field(alias="schema")
    name: str
    created_by: str = Field(description="edge_pose version")
    task: Task
    file: ModelFile
    input: InputTensor
    outputs: tuple[OutputTensor, ...] = Field(min_length=1)
    contains: tuple[Literal["normalization", "decoder"], ...] = Field(
        (), description="what the graph does itself"
    )
    decoder: Decoder
    keypoint_format: Keypoints
    origin: Origin
    calibration: Calibration | None = None
    gate: Gate | None = None
    attempts: tuple[Attempt, ...] = ()
    tools: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        task, channels = EXPECTED[self.decoder.name]
        if self.task != task:
            raise ValueError(f"decoder {self.decoder.name} is for {task}, the task is {self.task}")
        self._check_names()
        count = len(self.keypoint_format.keypoints)
        expected = [channel(count) for channel in channels]
        found = [_channels(parts) for parts in self.maps]
        if found != expected:
            shapes = ", ".join(f"{list(o.shape)} ({o.layout})" for o in self.outputs)
            raise ValueError(
                f"output shape {shapes} does not fit {count} keypoints: decoder"
                f" {self.decoder.name} needs {expected} channels"
            )
        if self.file.format != "tflite" and any(output.part_of for output in self.outputs):
            raise ValueError(f"output with part_of: {self.file.format} has whole maps only")
        return self

    def _check_names(self) -> None:
        """Refuse names by which `maps` would put together what does not belong together."""
        names = [output.name for output in self.outputs]
        wholes = [parts[0].part_of for parts in self.maps if parts[0].part_of]
        for kind, found in (("name", names), ("part_of", wholes)):
            if len(set(found)) < len(found):
                raise ValueError(f"outputs: {kind} is there twice: {', '.join(found)}")
        if both := sorted(set(names) & set(wholes)):
            raise ValueError(f"outputs: part_of '{both[0]}' is the name of an output")

    @property
    def maps(self) -> tuple[tuple[OutputTensor, ...], ...]:
        """The outputs of each map that the decoder wants, those that share one by its channels.

        Integers have one scale per tensor: a map of logits, offsets and sizes comes in three.
        """
        groups = groupby(self.outputs, key=lambda output: output.part_of or output.name)
        return tuple(tuple(parts) for _, parts in groups)


# Of the outputs of each decoder: the task and the channels at K keypoints.
EXPECTED: dict[str, tuple[Task, tuple[Callable[[int], int], ...]]] = {
    "heatmap": ("top_down", (lambda k: k,)),
    "keypoints": ("top_down", (lambda k: k,)),
    "associative_embedding": ("bottom_up", (lambda k: 2 * k, lambda k: k)),
    "centers": ("detector", (lambda _: 5,)),
}


def _channels(parts: Sequence[OutputTensor]) -> int:
    """Return the length of the axis k, -1 where ranks or the other axes do not fit."""
    if any(len(part.shape) != len(part.layout) for part in parts):
        return -1
    axes = [dict(zip(part.layout, part.shape, strict=True)) for part in parts]
    channels = sum(of.pop("k") for of in axes)
    return channels if all(of == axes[0] for of in axes) else -1
