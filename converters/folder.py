"""Artifact folders on disk: all or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_pose.artifact import MANIFEST, Artifact, write_manifest
from edge_pose.errors import ArtifactError

SIGNATURE = f"{MANIFEST}.sig"
SUFFIXES = (".onnx", ".xml", ".bin", ".tflite", ".engine", ".engine.json")
"""Of the model files of all formats, and of what a device compiles from them."""


def check_target(out: Path) -> None:
    """Make sure that `out` is free, empty or an artifact that may be replaced.

    Raises:
        ArtifactError: it holds something else.
    """
    try:
        if not out.exists():
            return
        found = sorted(path.name for path in out.iterdir())
    except NotADirectoryError:
        message = f"{out}: is a file or below one, expected a new folder or an artifact's"
        raise ArtifactError(message) from None
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be read: {error.strerror}") from None
    ours = (MANIFEST, SIGNATURE)
    others = [name for name in found if name not in ours and not name.endswith(SUFFIXES)]
    if others or (found and MANIFEST not in found):
        which = others[0] if others else f"no {MANIFEST}"
        raise ArtifactError(f"{out}: not an artifact's folder ({which} in it), choose another one")


def write_artifact(artifact: Artifact) -> None:
    """Write model and manifest to a folder beside `artifact.folder`, then swap it in.

    Raises:
        ArtifactError: the disk is full or the place cannot be written; what was there stays.
    """
    out = artifact.folder.resolve()
    try:
        with _beside(out) as new:
            file = artifact.manifest.file
            (new / file.name).write_bytes(artifact.model)
            if file.weights and artifact.weights is not None:
                (new / file.weights.name).write_bytes(artifact.weights)
            write_manifest(new, artifact.manifest)
            _swap(new, out)
    except OSError as error:
        raise ArtifactError(f"{artifact.folder}: cannot be written: {error.strerror}") from None


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Make a hidden sibling folder and remove what is left of it, whatever happens."""
    folder = out.with_name(f".{out.name}.partial-{os.getpid()}")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(new: Path, out: Path) -> None:
    if not out.exists():
        new.rename(out)
        return
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
