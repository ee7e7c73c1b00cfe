"""Names of artifacts: those that come with edge_pose, and those pulled to this device.

The local registry is `$XDG_DATA_HOME/edge_pose/models`, one folder `<name>-<id>` per artifact. The
id is the start of the manifest's SHA-256; the manifest holds the hashes of all else. The folders
are the truth: there is no index that could disagree with them. What starts with a dot is in work.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_pose.artifact import read_manifest_bytes
from edge_pose.errors import ArtifactError
from edge_pose.lookup import suggestion
from edge_pose.models import DEFAULT, shipped
from edge_pose.user_folder import user_folder

logger = logging.getLogger(__name__)

ID_DIGITS = 12
FOLDER = re.compile(rf"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)-(?P<id>[0-9a-f]{{{ID_DIGITS}}})")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
LOCK = ".lock"
PARTIAL, OLD = ".partial-", ".old-"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name and where it leads.

    Attributes:
        name: not always unique.
        folder: the artifact's.
        shipped: True if it came with edge_pose.
    """

    name: str
    folder: Path
    shipped: bool

    @property
    def id(self) -> str:
        """The start of the manifest's SHA-256: of a pulled one, when it was pulled.

        Raises:
            ArtifactError: the manifest of a shipped one cannot be read.
        """
        if self.shipped:
            return manifest_id(read_manifest_bytes(self.folder))
        return self.folder.name[-ID_DIGITS:]

    @property
    def full_name(self) -> str:
        """Name and id: always unique."""
        return f"{self.name}-{self.id}"


def manifest_id(manifest: bytes) -> str:
    """Return the id of the artifact with these bytes of manifest.json."""
    return hashlib.sha256(manifest).hexdigest()[:ID_DIGITS]


def store_folder() -> Path | None:
    """Return the folder of the local registry, None for a user without a home."""
    return user_folder("XDG_DATA_HOME", ".local/share", "models")


def entries() -> list[Entry]:
    """Return the shipped artifacts, then those of the local registry, sorted by name.

    Raises:
        ArtifactError: the registry is there and cannot be read.
    """
    found = [Entry(name, folder, True) for name, folder in shipped().items() if name != "default"]
    store = store_folder()
    try:
        folders = sorted(store.iterdir()) if store is not None and store.is_dir() else []
    except OSError as error:
        raise ArtifactError(f"{store}: cannot be read: {error.strerror}") from None
    for folder in folders:
        if (match := FOLDER.fullmatch(folder.name)) and folder.is_dir():
            found.append(Entry(match["name"], folder, False))
    return found


def names() -> list[str]:
    """Return what can be asked for by name."""
    return sorted({"default", *(entry.name for entry in entries())})


def find(model: str) -> Entry | None:
    """Return the artifact of a name, or of a name and id; None if there is none.

    Raises:
        ArtifactError: several have the name; the line lists them.
    """
    if model == "default" and model in shipped():
        return Entry(DEFAULT, shipped()[model], True)
    matches = [
        entry
        for entry in entries()
        if entry.name == model or (model.startswith(f"{entry.name}-") and entry.full_name == model)
    ]
    if len(matches) > 1 and len({entry.full_name for entry in matches}) > 1:
        listed = ", ".join(
            f"{entry.full_name}{' (shipped)' if entry.shipped else ''}" for entry in matches
        )
        raise ArtifactError(f"model '{model}': {len(matches)} have this name, choose of: {listed}")
    # A pulled copy of a shipped one differs from it in its signature only.
    return matches[-1] if matches else None


def local_name(name: str, where: object) -> str:
    """Return a name under which an artifact can be kept.

    Raises:
        ArtifactError: it cannot be a folder's name, or means something else.
    """
    if not NAME.fullmatch(name) or name == "default":
        raise ArtifactError(
            f"{where}: cannot be kept under the name {name[:80]!r}; give --name, up to 64 letters,"
            " digits and _.-"
        )
    return name


def remove(model: str) -> Entry:
    """Remove an artifact from the local registry.

    Raises:
        ArtifactError: there is no such one, several, or it came with edge_pose.
    """
    with locked_store() as store:
        entry = find(model)
        if entry is None:
            known = [e.name for e in entries() if not e.shipped]
            listed = ", ".join(known) or "none"
            raise ArtifactError(
                f"model '{model}': not in {store}{suggestion(model, known)} (there: {listed})"
            )
        if entry.shipped:
            raise ArtifactError(f"model '{model}': came with edge_pose and is not removed")
        _put_aside(entry.folder)
    return entry


@contextmanager
def locked_store() -> Iterator[Path]:
    """Create the local registry and hold its lock: one process at a time changes it.

    What a process that was killed has left behind is removed; nobody else can be at work on it.

    Raises:
        ArtifactError: it cannot be created, or there is no home to create it in.
    """
    store = need_store()
    try:
        with (store / LOCK).open("ab") as lock:
            _wait_for(lock)
            for left in store.iterdir():
                if left.name.startswith((PARTIAL, OLD)):
                    shutil.rmtree(left, ignore_errors=True)
            yield store
    except OSError as error:
        raise ArtifactError(f"{store}: cannot be changed: {error.strerror}") from None


def _wait_for(lock: BinaryIO) -> None:
    """Take the lock; the system releases it when the process ends, however it ends."""
    try:
        import fcntl  # not on Windows, where reading artifacts has to work all the same
    except ImportError:
        logger.warning("local registry: no locks on this system, change it in one process only")
        return
    fcntl.flock(lock, fcntl.LOCK_EX)


def need_store() -> Path:
    """Create the local registry.

    Raises:
        ArtifactError: it cannot be created, or there is no home to create it in.
    """
    store = store_folder()
    if store is None:
        raise ArtifactError("local registry: this user has no home folder, set XDG_DATA_HOME")
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{store}: cannot be created: {error.strerror}") from None
    return store


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder beside where the artifact shall go; it is gone afterwards."""
    folder = parent / f"{PARTIAL}{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(new: Path, target: Path, *, replace: bool) -> None:
    """Rename a complete folder to its final name.

    Args:
        new: the folder.
        target: its name.
        replace: remove what is there; otherwise a folder that is not empty stays.

    Raises:
        OSError: it cannot be renamed.
    """
    if replace and target.exists():
        _put_aside(target)
    new.rename(target)
    with suppress(PermissionError):  # Windows opens no folders
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the new name is on the disk, too
        finally:
            os.close(descriptor)


def _put_aside(folder: Path) -> None:
    """Take a folder away at once, then remove what is in it."""
    aside = folder.with_name(f"{OLD}{secrets.token_hex(8)}")
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
