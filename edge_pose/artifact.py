"""The artifact: a folder with `manifest.json` and one model file, all that a device is given.

The runtime guesses nothing: sizes, colours, normalisation and decoding are read from the manifest.
The model file's SHA-256 is checked before any parser sees the file, and an artifact whose accuracy
was never checked against its checkpoint is refused unless the caller trusts it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_pose.config import first_error
from edge_pose.errors import ArtifactError
from edge_pose.lookup import suggestion
from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import KeypointFormat

SCHEMA = "edge_pose.artifact/1"
MANIFEST = "manifest.json"
SHA256 = r"^[0-9a-f]{64}$"
Triple = tuple[float, float, float]
Side = Annotated[int, Field(ge=1)]
Spread = Annotated[float, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(_Table):
    """The one file beside the manifest."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="no folders: it lies beside")
    format: str = Field(description="onnx, openvino or tflite")
    precision: Literal["fp32", "fp16", "int8"]
    sha256: str = Field(pattern=SHA256)
    size_bytes: int = Field(gt=0)
    backend: str = Field(description="runtime that it was made and gated for")


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
    mean: Triple = Field(description="per channel in the colour order, 0..255 scale")
    std: tuple[Spread, Spread, Spread]
    quantization: Quantization | None = None

    @property
    def spec(self) -> InputSpec:
        """The same for edge_pose.preprocess; pixels become int8 in the runtime."""
        dtype = "float32" if self.dtype == "float32" else "uint8"
        return InputSpec(self.size, self.color, self.layout, dtype, self.mean, self.std)


class OutputTensor(_Table):
    """What the graph returns; the runtime hands it on as (n, k, h, w) float32."""

    name: str
    layout: Literal["nkhw", "nhwk"]
    shape: tuple[int, ...]
    dtype: Literal["float32", "uint8", "int8"]
    quantization: Quantization | None = None


class Decoder(_Table):
    """How outputs become keypoints."""

    name: Literal["heatmap"]
    kind: Literal["logits", "gaussian"]
    stride: int = Field(ge=1, description="input px per heatmap px")


class Keypoints(_Table):
    """The keypoint format, written out so that a reader needs no table."""

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

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


class Gate(_Table):
    """Artifact against float checkpoint on the same crops."""

    passed: bool
    dataset: str
    metric: str
    n_persons: int = Field(gt=0)
    checkpoint_accuracy: float = Field(description="percent")
    artifact_accuracy: float = Field(description="percent")
    limit_points: float = Field(description="largest fall that passes")
    drift_p50_px: float = Field(description="between both keypoints, input px")
    drift_p95_px: float
    argmax_agreement: float = Field(ge=0, le=1, description="keypoints within one heatmap px")
    per_group: dict[str, float | None] = Field(default_factory=dict)


class Manifest(_Table):
    """The content of manifest.json."""

    schema_: Literal["edge_pose.artifact/1"] = Field(alias="schema")
    name: str
    created_by: str = Field(description="edge_pose version")
    task: Literal["top_down"]
    file: ModelFile
    input: InputTensor
    outputs: tuple[OutputTensor, ...] = Field(min_length=1)
    decoder: Decoder
    keypoint_format: Keypoints
    origin: Origin
    calibration: Calibration | None = None
    gate: Gate | None = None
    tools: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        output, count = self.outputs[0], len(self.keypoint_format.keypoints)
        if len(output.shape) != 4 or output.shape[output.layout.index("k")] != count:
            raise ValueError(
                f"output shape {list(output.shape)} does not fit {count} keypoints"
                f" ({', '.join(output.layout)})"
            )
        return self


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest whose model file was read and found to be what it says.

    Attributes:
        folder: where it lies.
        manifest: the validated manifest.
        model: the model file's bytes, those that were hashed.
    """

    folder: Path
    manifest: Manifest
    model: bytes


def load_artifact(model: str | Path = "default", *, trust_ungated: bool = False) -> Artifact:
    """Load an artifact by the name of a shipped one, or from a folder.

    Raises:
        ArtifactError: it is missing, damaged, altered, of an unknown schema, or was never gated.
    """
    folder = artifact_folder(model)
    manifest = read_manifest(folder)
    file = folder / manifest.file.name
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.file.sha256:
        raise ArtifactError(
            f"{file}: SHA-256 is {digest[:12]}…, the manifest says {manifest.file.sha256[:12]}…:"
            " the file was damaged or changed, export it again"
        )
    if not trust_ungated and (manifest.gate is None or not manifest.gate.passed):
        why = "has no gate report" if manifest.gate is None else "failed its accuracy gate"
        raise ArtifactError(f"{folder}: {why}, convert it again or pass --trust-ungated")
    return Artifact(folder, manifest, data)


def artifact_folder(model: str | Path) -> Path:
    """Return the folder of a shipped artifact's name, or the path itself.

    Raises:
        ArtifactError: there is neither such a name nor such a folder.
    """
    from edge_pose.models import shipped

    names = shipped()
    if str(model) in names:
        return names[str(model)]
    folder = Path(model)
    if folder.is_dir():
        return folder
    found = "a file" if folder.exists() else "neither a shipped model nor a folder"
    hint = suggestion(str(model), names)
    raise ArtifactError(f"model '{model}': {found}{hint} (shipped: {', '.join(sorted(names))})")


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `folder/manifest.json`.

    Raises:
        ArtifactError: it is missing, not JSON, of an unknown schema or incomplete.
    """
    file = folder / MANIFEST
    try:
        values = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ArtifactError(f"{file}: not valid JSON: {error}") from None
    found = values.get("schema") if isinstance(values, dict) else None
    if found != SCHEMA:
        raise ArtifactError(
            f"{file}: schema {found!r} is not known here, expected '{SCHEMA}':"
            " export the model again or update edge_pose"
        )
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise ArtifactError(f"{file}: {first_error(error)}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `folder/manifest.json`, sorted and indented, the same bytes for the same content."""
    values = manifest.model_dump(mode="json", by_alias=True)
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
