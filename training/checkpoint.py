"""Weights on disk: two files, two purposes.

- `*.safetensors`: weights and how to use them. What is shared, converted and shipped; loading it
  runs no code.
- `resume.pt`: everything that a run needs to go on (weights, EMA, optimizer, epoch).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import InputSpec
from training.registry import ModelEntry, build_model, get_model

SCHEMA = "edge_pose.checkpoint/1"
MAX_INDEX = 2**26  # of an annotation; a bit each makes 11 MB of text


class CheckpointError(EdgePoseError):
    """A checkpoint is missing, damaged or of another model."""


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says about itself.

    Attributes:
        model: registry name.
        model_args: keyword arguments that the network was built with.
        heatmap_kind: "logits" or "gaussian".
        input_size: (w, h) px of the last training stage.
        recipe: the recipe as JSON values.
        trained_on: per data set the persons seen in training, see `pack_persons`.
        data_sha256: hash over the training annotations.
        epochs: epochs trained.
        minutes: wall-clock minutes of training.
        device: what it was trained on.
    """

    model: str
    heatmap_kind: str
    input_size: tuple[int, int]
    recipe: dict[str, Any] = field(default_factory=dict)
    trained_on: dict[str, str] = field(default_factory=dict)
    data_sha256: str = ""
    epochs: int = 0
    minutes: float = 0.0
    device: str = ""
    model_args: dict[str, Any] = field(default_factory=dict)

    @property
    def keypoint_format(self) -> str:
        """Name of the keypoint format of the heatmaps."""
        return str(self.model_args.get("keypoints", self.entry.keypoint_format))

    def build(self) -> nn.Module:
        """Build the network, untrained.

        Raises:
            UsageError: this version has no such model, or it takes no such arguments.
        """
        return build_model(self.model, self.model_args)

    @property
    def entry(self) -> ModelEntry:
        """The registry entry of the model."""
        return get_model(self.model)

    @property
    def input_spec(self) -> InputSpec:
        """How the float network wants its input."""
        entry = self.entry
        return InputSpec(self.input_size, entry.color, "nchw", "float32", entry.mean, entry.std)


def pack_persons(indices: Iterable[int]) -> str:
    """Pack annotation indices into a base64 bit set, so that evaluation can leave them out.

    Raises:
        CheckpointError: an index is negative, or so large that the set would be.
    """
    listed = sorted(set(indices))
    if listed and not 0 <= listed[0] <= listed[-1] < MAX_INDEX:
        raise CheckpointError(
            f"persons: found index {listed[0] if listed[0] < 0 else listed[-1]}, expected 0 to"
            f" {MAX_INDEX - 1}: number the annotations anew"
        )
    bits = np.zeros(listed[-1] + 1 if listed else 0, np.bool_)
    bits[listed] = True
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def unpack_persons(packed: str) -> set[int]:
    """Return the annotation indices of a bit set.

    Raises:
        CheckpointError: it is not one.
    """
    try:
        data = base64.b64decode(packed, validate=True)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"trained_on: not a base64 bit set of persons: {error}") from None
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    return {int(i) for i in np.flatnonzero(bits)}


def merge_persons(*trained_on: Mapping[str, str]) -> dict[str, str]:
    """Return per data set everybody that is in one of the tables of bit sets.

    Raises:
        CheckpointError: one of them is not a bit set.
    """
    names = sorted({name for table in trained_on for name in table})
    return {
        name: pack_persons(
            index for table in trained_on for index in unpack_persons(table.get(name, ""))
        )
        for name in names
    }


def save_checkpoint(
    path: Path, state: dict[str, Tensor], info: CheckpointInfo, *, half: bool = False
) -> None:
    """Write weights and info; `half` stores float tensors as float16 to ship them small."""
    tensors = {}
    for name, tensor in state.items():
        keep = tensor.detach().cpu().contiguous()
        tensors[name] = keep.half() if half and keep.is_floating_point() else keep
    metadata = {"schema": SCHEMA, "info": json.dumps(asdict(info), sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, metadata)
    temporary.replace(path)


def read_info(path: Path) -> CheckpointInfo:
    """Read what a checkpoint says about itself, without its weights.

    Raises:
        CheckpointError: it is missing, damaged or not a checkpoint of edge_pose.
    """
    with _open(path) as file:
        return _info(path, file.metadata() or {})


def _info(path: Path, metadata: dict[str, str]) -> CheckpointInfo:
    if metadata.get("schema") != SCHEMA:
        found = metadata.get("schema", "none")
        raise CheckpointError(f"{path}: schema: found {found}, expected {SCHEMA}")
    try:
        values = json.loads(metadata["info"])
        values["input_size"] = tuple(values["input_size"])
        return CheckpointInfo(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description is damaged: {error!r}") from None


def load_checkpoint(path: Path) -> tuple[nn.Module, CheckpointInfo]:
    """Build the network and fill it; float32, in evaluation mode.

    Raises:
        CheckpointError: see `read_info`, or the weights do not fit the model it names.
    """
    with _open(path) as file:  # once: a training that goes on may replace the file in between
        info = _info(path, file.metadata() or {})
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    model = info.build()
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path}: weights do not fit model {info.model}: {reason}") from None
    return model.eval(), info


def _open(path: Path) -> Any:  # noqa: ANN401 - safetensors ships no types
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from None


def save_resume(path: Path, values: dict[str, Any]) -> None:
    """Write the state of a run in one step, so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".partial")
    torch.save(values, temporary)
    temporary.replace(path)


def load_resume(path: Path) -> dict[str, Any]:
    """Read the state of a run.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - what a damaged pickle raises shares no base class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: not a resumable state: {reason}") from None
    if not isinstance(values, dict):
        found = type(values).__name__
        raise CheckpointError(f"{path}: not a resumable state: found a {found}, expected a dict")
    return values


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        CheckpointError: it is missing.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    return hashlib.sha256(path.read_bytes()).hexdigest()
