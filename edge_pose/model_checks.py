"""Every check of an artifact by itself, so that one report says all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_pose.artifact import (
    MANIFEST,
    check_gate,
    parse_manifest,
    read_declared,
    read_manifest_bytes,
)
from edge_pose.errors import ArtifactError
from edge_pose.manifest import Manifest, ModelFile, WeightsFile
from edge_pose.model_store import ID_DIGITS, manifest_id, store_folder
from edge_pose.package import check_declared
from edge_pose.signature import judge_signature
from edge_pose.signing_keys import PublicKey


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `edge-pose model verify`.

    Attributes:
        name: what was looked at.
        passed: None where there was nothing to compare with.
        text: what was found.
    """

    name: str
    passed: bool | None
    text: str


def check_artifact(folder: Path, trusted: Sequence[PublicKey]) -> list[Check]:
    """Check manifest, files, gate and signature.

    Args:
        folder: the artifact's.
        trusted: where there are any, a valid signature by one of them is required.
    """
    try:
        data = read_manifest_bytes(folder)
        manifest = parse_manifest(data, MANIFEST)
        check_declared(manifest, folder)
    except ArtifactError as error:
        return [Check("manifest", False, str(error))]
    checks = [Check("manifest", True, f"{manifest.schema_}, {manifest.name}")]
    for file in (manifest.file, manifest.file.weights):
        if file is not None:
            checks.append(_try(file.name, partial(_file, folder, file)))
    checks.append(_try("gate", partial(_gate, manifest)))
    checks.append(_signature(folder, data, trusted))
    if folder.parent == store_folder():
        checks.append(_try("registry", partial(_registry, folder, data)))
    return checks


def _try(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except ArtifactError as error:
        return Check(name, False, str(error))


def _file(folder: Path, declared: ModelFile | WeightsFile) -> str:
    read_declared(folder, declared)
    return f"SHA-256 {declared.sha256[:12]}…, {declared.size_bytes} bytes"


def _gate(manifest: Manifest) -> str:
    check_gate(manifest, manifest.name)
    gate = manifest.gate
    if gate is None:  # check_gate has refused it
        return ""
    return (
        f"passed: {gate.artifact_accuracy} {gate.metric} against {gate.checkpoint_accuracy}"
        f" on {gate.dataset}, n = {gate.n_persons}"
    )


def _signature(folder: Path, manifest: bytes, trusted: Sequence[PublicKey]) -> Check:
    verdict = judge_signature(folder, manifest, trusted)
    if verdict.state == "trusted":
        return Check("signature", True, verdict.reason)
    if trusted and verdict.state in ("unsigned", "untrusted"):
        known = ", ".join(key.key_id for key in trusted)
        return Check("signature", False, f"{verdict.reason}; required is one by {known}")
    failed = verdict.state == "invalid" or bool(trusted)
    return Check("signature", False if failed else None, verdict.reason)


def _registry(folder: Path, manifest: bytes) -> str:
    found, expected = manifest_id(manifest), folder.name[-ID_DIGITS:]
    if found != expected:
        raise ArtifactError(f"{folder}: the manifest was changed after it was pulled")
    return f"unchanged since it was pulled: {found}"
