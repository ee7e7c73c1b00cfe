"""The artifact: a folder with `manifest.json` and the model, all that a device is given.

The runtime guesses nothing: sizes, colours, normalisation and decoding are read from the manifest.
The model file's SHA-256 is checked before any parser sees the file, and an artifact whose accuracy
was never checked against its checkpoint is refused unless the caller trusts it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edge_pose.config import first_error
from edge_pose.errors import ArtifactError
from edge_pose.lookup import suggestion
from edge_pose.manifest import READABLE, SCHEMA, Manifest

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest whose files were read and found to be what it says.

    Attributes:
        folder: where it lies.
        manifest: the validated manifest.
        model: the model file's bytes, those that were hashed.
        weights: those of the weights file, where the format has one.
    """

    folder: Path
    manifest: Manifest
    model: bytes
    weights: bytes | None = None


def load_artifact(model: str | Path = "default", *, trust_ungated: bool = False) -> Artifact:
    """Load an artifact by the name of a shipped one, or from a folder.

    Raises:
        ArtifactError: it is missing, damaged, altered, of an unknown schema, or was never gated.
    """
    folder = artifact_folder(model)
    manifest = read_manifest(folder)
    file = manifest.file
    content = _read(folder / file.name, file.sha256)
    weights = _read(folder / file.weights.name, file.weights.sha256) if file.weights else None
    if not trust_ungated and (manifest.gate is None or not manifest.gate.passed):
        why = "has no gate report" if manifest.gate is None else "failed its accuracy gate"
        raise ArtifactError(f"{folder}: {why}, convert it again or pass --trust-ungated")
    return Artifact(folder, manifest, content, weights)


def _read(file: Path, sha256: str) -> bytes:
    """Return the content of a file with this hash."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ArtifactError(
            f"{file}: SHA-256 is {digest[:12]}…, the manifest says {sha256[:12]}…:"
            " the file was damaged or changed, export it again"
        )
    return data


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
    if found not in READABLE:
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
