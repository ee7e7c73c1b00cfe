"""The artifact: a folder with `manifest.json` and the model, all that a device is given.

The runtime guesses nothing: sizes, colours, normalisation and decoding are read from the manifest.
The model file's SHA-256 is checked before any parser sees the file, and an artifact whose accuracy
was never checked against its checkpoint is refused unless the caller trusts it. Where trusted keys
are given, the signature is checked before anything else is read (see edge_pose.signature).
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edge_pose.config import first_error
from edge_pose.errors import ArtifactError
from edge_pose.lookup import suggestion
from edge_pose.manifest import READABLE, SCHEMA, Manifest, ModelFile, WeightsFile
from edge_pose.strict_json import check_texts, parse_json

MANIFEST = "manifest.json"
MANIFEST_LIMIT_BYTES = 1 << 20
"""The longest manifest that is read; the shipped one has 7 kB."""


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


def load_artifact(
    model: str | Path = "default",
    *,
    trust_ungated: bool = False,
    trusted_keys: Sequence[Path] = (),
) -> Artifact:
    """Load an artifact by its name, shipped or pulled, or from a folder.

    Args:
        model: name, name and id as `edge-pose model list` shows them, or a folder; "default" is
            the shipped default in ONNX.
        trust_ungated: also load artifacts whose accuracy was never checked.
        trusted_keys: public keys (PEM files, or folders of them); where there are any, a valid
            signature by one of them is required.

    Raises:
        ArtifactError: it is missing, damaged, altered, of an unknown schema, was never gated, or
            is not signed by a trusted key.
    """
    folder = artifact_folder(model)
    data = read_manifest_bytes(folder)
    if trusted_keys:
        from edge_pose.signature import require_signature
        from edge_pose.signing_keys import read_public_keys

        require_signature(folder, data, read_public_keys(trusted_keys))
    manifest = parse_manifest(data, folder / MANIFEST)
    file = manifest.file
    content = read_declared(folder, file)
    weights = read_declared(folder, file.weights) if file.weights else None
    if not trust_ungated:
        check_gate(manifest, folder)
    return Artifact(folder, manifest, content, weights)


def check_gate(manifest: Manifest, where: object) -> None:
    """Refuse an artifact that was not measured against its checkpoint, or was found worse.

    Raises:
        ArtifactError: the gate report is missing or a failed one.
    """
    if manifest.gate is None or not manifest.gate.passed:
        why = "has no gate report" if manifest.gate is None else "failed its accuracy gate"
        raise ArtifactError(f"{where}: {why}, convert it again or pass --trust-ungated")


def read_declared(folder: Path, declared: ModelFile | WeightsFile) -> bytes:
    """Return the content of a file that is what the manifest says.

    Raises:
        ArtifactError: it cannot be read, or is no plain file of this size and hash.
    """
    file = folder / declared.name
    try:
        check_size(_plain_size(file), declared.size_bytes, file)
        data = file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
    check_hash(hashlib.sha256(data).hexdigest(), declared.sha256, file)
    return data


def read_start(file: Path, limit_bytes: int) -> bytes:
    """Return the content of a plain file, but never more than the limit and one byte.

    Raises:
        ArtifactError: it is a pipe, a device or a folder.
        OSError: it cannot be read.
    """
    _plain_size(file)
    with file.open("rb") as stream:
        return stream.read(limit_bytes + 1)


def _plain_size(file: Path) -> int:
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would never end
        raise ArtifactError(f"{file}: is no plain file")
    return found.st_size


def check_size(found: int, size_bytes: int, where: object) -> None:
    """Compare the size of a file with the manifest's.

    Raises:
        ArtifactError: they differ.
    """
    if found != size_bytes:
        raise ArtifactError(
            f"{where}: {found} bytes, the manifest says {size_bytes}: the file was damaged or"
            " changed, export it again"
        )


def check_hash(found: str, sha256: str, where: object) -> None:
    """Compare the hash of a file with the manifest's.

    Raises:
        ArtifactError: they differ.
    """
    if found != sha256:
        raise ArtifactError(
            f"{where}: SHA-256 is {found[:12]}…, the manifest says {sha256[:12]}…:"
            " the file was damaged or changed, export it again"
        )


def artifact_folder(model: str | Path) -> Path:
    """Return the folder of a shipped or pulled artifact's name, or the path itself.

    Raises:
        ArtifactError: there is neither such a name nor such a folder, or several of the name.
    """
    from edge_pose.model_store import find, names

    if (entry := find(str(model))) is not None:
        return entry.folder
    folder = Path(model)
    if folder.is_dir():
        return folder
    known = names()
    found = "neither a shipped model nor a folder nor one that was pulled"
    if folder.exists():
        found = f"a file, for a packed artifact run: edge-pose model pull {folder}"
    raise ArtifactError(
        f"model '{model}': {found}{suggestion(str(model), known)} (known: {', '.join(known)})"
    )


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `folder/manifest.json`.

    Raises:
        ArtifactError: it is missing, not JSON, of an unknown schema or incomplete.
    """
    return parse_manifest(read_manifest_bytes(folder), folder / MANIFEST)


def read_manifest_bytes(folder: Path) -> bytes:
    """Return the bytes of `folder/manifest.json`: what is hashed and signed.

    Raises:
        ArtifactError: it cannot be read, is no plain file, or too long for a manifest.
    """
    file = folder / MANIFEST
    try:
        data = read_start(file, MANIFEST_LIMIT_BYTES)
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise ArtifactError(f"{file}: longer than {MANIFEST_LIMIT_BYTES} bytes, not a manifest")
    return data


def parse_manifest(data: bytes, where: object) -> Manifest:
    """Validate the bytes of a manifest; `where` is named in errors.

    Raises:
        ArtifactError: not JSON, of an unknown schema or incomplete.
    """
    try:
        values = parse_json(data)
    except ValueError as error:
        raise ArtifactError(f"{where}: not valid JSON: {error}") from None
    found = values.get("schema") if isinstance(values, dict) else None
    if found not in READABLE:
        raise ArtifactError(
            f"{where}: schema {repr(found)[:60]} is not known here, expected '{SCHEMA}':"
            " export the model again or update edge_pose"
        )
    try:
        return Manifest.model_validate_json(data, strict=True)  # "192" is no 192, "yes" no true
    except ValidationError as error:
        raise ArtifactError(f"{where}: {first_error(error)}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `folder/manifest.json`, sorted and indented, the same bytes for the same content.

    Raises:
        ArtifactError: a figure is not finite, which JSON has no numbers for, or a text holds
            control or invisible characters.
    """
    values = manifest.model_dump(mode="json", by_alias=True)
    try:
        check_texts(values)
        text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ArtifactError(f"{folder / MANIFEST}: cannot be written: {error}") from None
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
