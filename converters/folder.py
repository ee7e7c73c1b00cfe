"""Artifact folders and files on disk: all or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_pose.artifact import (
    MANIFEST,
    Artifact,
    parse_manifest,
    read_manifest,
    read_manifest_bytes,
    write_manifest,
)
from edge_pose.errors import ArtifactError, EdgePoseError
from edge_pose.signature import SIGNATURE, read_signature_bytes

ENGINES = (".engine", ".engine.json")
"""Of what a device compiles from an artifact, and lays beside it."""


def check_target(out: Path) -> None:
    """Make sure that `out` can be written and is free, empty or an artifact's: that is replaced.

    Raises:
        ArtifactError: it holds something else, or the place cannot be written.
    """
    _check_content(out)
    check_place(out)


def _check_content(out: Path) -> None:
    try:
        found = sorted(out.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ArtifactError(_no_folder(out)) from None
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be read: {error.strerror}") from None
    if not found:
        return
    ours = _files_of(out)
    for path in found:
        if path.name not in ours and not path.name.endswith(ENGINES):
            raise _foreign(out, f"{path.name} in it")


def _files_of(out: Path) -> set[str]:
    """Return the names of an artifact's files, by its own manifest."""
    if not (out / MANIFEST).is_file():
        raise _foreign(out, f"no {MANIFEST} in it")
    try:
        file = read_manifest(out).file
    except ArtifactError:
        # Other programs have a file of this name, too.
        raise _foreign(out, f"{MANIFEST} is not one that is known here") from None
    weights = {file.weights.name} if file.weights else set()
    return {MANIFEST, SIGNATURE, file.name} | weights


def _foreign(out: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{out}: not an artifact's folder ({why}), choose another one")


def _no_folder(out: Path) -> str:
    return f"{out}: is a file or below one, expected a new folder or an artifact's"


def check_place(out: Path) -> None:
    """Make sure that something can be written at `out`, by writing beside it.

    Known before hours of work, not after them; nothing stays.

    Raises:
        ArtifactError: it cannot.
    """
    try:
        nearest = next(parent for parent in out.resolve().parents if parent.exists())
        with tempfile.TemporaryDirectory(prefix=".edge_pose.", dir=nearest):
            pass
    except NotADirectoryError:
        raise ArtifactError(f"{out}: is below a file, choose another place") from None
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written: {error.strerror}") from None


def check_file(out: Path) -> None:
    """Make sure that `write_file` can write `out`.

    Raises:
        ArtifactError: it is a folder, or the place cannot be written.
    """
    try:
        if out.is_dir():
            raise ArtifactError(f"{out}: is a folder, expected a file")
        if _is_stream(out):
            return
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written: {error.strerror}") from None
    check_place(out)


def _is_stream(out: Path) -> bool:
    """Return whether it is a device, a pipe or a socket: nothing that can be replaced."""
    return out.exists() and not out.is_file() and not out.is_dir()


def write_artifact(artifact: Artifact) -> None:
    """Write model and manifest to a folder beside `artifact.folder`, then swap it in.

    Raises:
        ArtifactError: there is something else than an artifact, the disk is full or the place
            cannot be written; what was there stays.
    """
    with _replacing(artifact.folder) as new:
        _write_model(new, artifact)
        write_manifest(new, artifact.manifest)


def copy_artifact(artifact: Artifact, out: Path) -> None:
    """Write what lies in `artifact.folder` to another folder, as `write_artifact` does.

    The manifest keeps its bytes, and so its signature goes with it.

    Raises:
        ArtifactError: as there, or the source cannot be read any more or is another one by now.
    """
    manifest = read_manifest_bytes(artifact.folder)
    if parse_manifest(manifest, artifact.folder / MANIFEST) != artifact.manifest:
        raise ArtifactError(f"{artifact.folder}: was changed meanwhile, run again")
    signature = read_signature_bytes(artifact.folder)
    with _replacing(out) as new:
        _write_model(new, artifact)
        (new / MANIFEST).write_bytes(manifest)
        if signature is not None:
            (new / SIGNATURE).write_bytes(signature)


def _write_model(folder: Path, artifact: Artifact) -> None:
    file = artifact.manifest.file
    (folder / file.name).write_bytes(artifact.model)
    if file.weights and artifact.weights is not None:
        (folder / file.weights.name).write_bytes(artifact.weights)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to fill and put it in the place of `folder` at the end."""
    check_target(folder)
    out = folder.resolve()
    try:
        with _beside(out) as new:
            yield new
            _swap(new, out)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written: {error.strerror}") from None


def write_file(out: Path, content: bytes) -> None:
    """Write a file beside `out`, then swap it in; a link stays, and what it points to is replaced.

    Devices and pipes are written to.

    Raises:
        EdgePoseError: it cannot be written; what was there stays.
    """
    try:
        if _is_stream(out):
            out.write_bytes(content)
            return
        place = out.resolve()
        partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
        with _parents(place):
            try:
                partial.write_bytes(content)
                partial.replace(place)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise EdgePoseError(f"{out}: cannot be written: {error.strerror}") from None


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Make a hidden sibling folder and remove what is left of it, whatever happens."""
    prefix = f".{out.name}.partial-"
    _sweep(out.parent, prefix)
    folder = out.with_name(f"{prefix}{os.getpid()}")
    with _parents(out):
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _parents(out: Path) -> Iterator[None]:
    """Make the folders above, and remove those again into which nothing came."""
    above = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with suppress(OSError):  # not empty: all is well
            for parent in above:
                parent.rmdir()


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what processes left that were killed; a number may have come round to this one."""
    try:
        beside = list(parent.iterdir())
    except OSError:  # not there yet, or not to be listed
        return
    for path in beside:
        number = path.name.removeprefix(prefix)
        if path.name.startswith(prefix) and number.isdecimal() and not _at_work(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _at_work(pid: int) -> bool:
    """Return whether another process of this number runs; where that cannot be known, yes."""
    if pid == os.getpid():
        return False
    if os.name != "posix":  # elsewhere signal 0 is not harmless
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _swap(new: Path, out: Path) -> None:
    if not out.exists():
        new.rename(out)
        return
    prefix = f".{out.name}.old-"
    _sweep(out.parent, prefix)
    old = out.with_name(f"{prefix}{os.getpid()}")
    out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
