"""Packed artifacts: one file `<name>.edgepose`, a zip of manifest, signature, model and weights.

Members are stored, never compressed. So the same artifact gives the same bytes on every machine
(compressors differ from version to version), and no member can be larger than the file that holds
it: there is nothing that a "zip bomb" could unfold. Quantized weights would shrink by a tenth.
Reading is edge_pose.package_reader's.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from pathlib import Path
from typing import IO

from edge_pose.artifact import MANIFEST, Artifact, load_artifact, read_manifest_bytes
from edge_pose.errors import ArtifactError
from edge_pose.manifest import Manifest
from edge_pose.signature import SIGNATURE, parse_signature, read_signature_bytes

SUFFIX = ".edgepose"
CHUNK_BYTES = 1 << 20
EARLIEST = (1980, 1, 1, 0, 0, 0)  # of zip's time stamps: the same in every package
UNIX, PERMISSIONS = 3, stat.S_IFREG | 0o644


def pack(folder: Path, out: Path, *, trust_ungated: bool = False) -> int:
    """Check the artifact in a folder and write it as one file.

    Args:
        folder: manifest.json, model, weights; the signature too if there is one.
        out: the package; replaced if it is there.
        trust_ungated: also pack artifacts whose accuracy was never checked.

    Returns:
        Size in bytes.

    Raises:
        ArtifactError: the artifact is not sound, or the disk is full; `out` stays as it was.
    """
    if not out.name:
        raise ArtifactError("package: the name is empty, expected a file name")
    members = _members(folder, load_artifact(folder, trust_ungated=trust_ungated))
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            write_zip(stream, members)
            sync(stream)
        partial.replace(out)
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
    return out.stat().st_size


def _members(folder: Path, artifact: Artifact) -> dict[str, bytes]:
    """Return what goes into the package, after the checks that a reader will make."""
    file = artifact.manifest.file
    check_declared(artifact.manifest, folder)
    members = {file.name: artifact.model}
    if file.weights is not None and artifact.weights is not None:
        members[file.weights.name] = artifact.weights
    members[MANIFEST] = read_manifest_bytes(folder)
    if (signature := read_signature_bytes(folder)) is not None:
        parse_signature(signature, folder / SIGNATURE)
        members[SIGNATURE] = signature
    return members


def write_zip(stream: IO[bytes], members: dict[str, bytes]) -> None:
    """Write a zip whose bytes depend on names and contents alone."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EARLIEST)
            info.create_system = UNIX
            info.external_attr = PERMISSIONS << 16
            archive.writestr(info, members[name])


def sync(stream: IO[bytes]) -> None:
    """Wait until the file is on the disk: a device may lose its power at any moment."""
    stream.flush()
    os.fsync(stream.fileno())


def sha256_file(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def declared_files(manifest: Manifest) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size in bytes by name of the files that a manifest declares."""
    file = manifest.file
    files = {file.name: (file.sha256, file.size_bytes)}
    if file.weights is not None:
        files[file.weights.name] = (file.weights.sha256, file.weights.size_bytes)
    return files


def check_declared(manifest: Manifest, where: object) -> None:
    """Refuse a manifest whose files would overwrite each other.

    Raises:
        ArtifactError: model, weights, manifest and signature do not have four names.
    """
    weights = manifest.file.weights
    names = [MANIFEST, SIGNATURE, manifest.file.name, *([weights.name] if weights else [])]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ArtifactError(f"{where}: {MANIFEST} gives the name '{twice}' to two files")
