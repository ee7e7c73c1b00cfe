"""Take packed artifacts in: from a file or a web server into the local registry or a folder.

All or nothing: the package goes to a file without a name, which is gone with its process; its
members go to a hidden folder, which is renamed when each was found to be what the manifest says.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from edge_pose.artifact import load_artifact, read_manifest_bytes
from edge_pose.download import download, read_file
from edge_pose.errors import ArtifactError, UsageError
from edge_pose.model_store import (
    Entry,
    local_name,
    locked_store,
    manifest_id,
    move_into_place,
    need_store,
    partial_folder,
)
from edge_pose.package_reader import LIMIT_BYTES, Package, Trust, open_package
from edge_pose.signature import read_signature_bytes
from edge_pose.sources.urls import is_url, public_uri

SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Request:
    """A package and the terms on which it is taken in.

    Attributes:
        source: path, or http(s) URL.
        trust: signature and gate that are required.
        sha256: of the package, hexadecimal; empty: not checked.
        limit_bytes: largest package.
        on_bytes: told how many bytes have arrived.
    """

    source: str
    trust: Trust = field(default_factory=Trust)
    sha256: str = ""
    limit_bytes: int = LIMIT_BYTES
    on_bytes: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        """Refuse what could not be checked.

        Raises:
            UsageError: sha256 is none, or nothing would protect a download from being altered.
        """
        if self.sha256 and not SHA256.fullmatch(self.sha256):
            raise UsageError(f"--sha256 {self.sha256[:80]}: expected 64 hexadecimal digits")
        plain = self.source.lower().startswith("http://")
        if plain and not (self.sha256 or self.trust.keys):
            raise UsageError(
                f"{self.shown}: can be altered on its way: use https, or give --sha256 or --key"
            )

    @property
    def shown(self) -> str:
        """The source as it may be shown."""
        return public_uri(self.source)

    def chunks(self) -> Iterator[bytes]:
        """Yield the package's bytes."""
        if is_url(self.source):
            return download(self.source, self.limit_bytes)
        return read_file(Path(self.source), self.limit_bytes)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull has done.

    Attributes:
        entry: where the artifact is now.
        new: False if it was there already, unchanged.
        signer: id of the trusted key that signed it; empty if none was asked for.
    """

    entry: Entry
    new: bool
    signer: str


def pull(request: Request, name: str | None = None) -> Pulled:
    """Take a package into the local registry; a second time changes nothing.

    Args:
        request: what and on which terms.
        name: under which it is kept; the manifest's by default.

    Raises:
        ArtifactError: it cannot be read, breaks a rule, or the disk is full.
    """
    if name is not None:
        local_name(name, "--name")
    store = need_store()
    with opened(request, store) as package, locked_store():
        kept = local_name(name or package.manifest.name, request.shown)
        entry = Entry(kept, store / f"{kept}-{manifest_id(package.manifest_bytes)}", False)
        new = not _is_there(entry.folder, package)
        if new:
            with partial_folder(store) as partial:
                package.extract(partial)
                move_into_place(partial, entry.folder, replace=True)
        return Pulled(entry, new, package.signer.key_id if package.signer else "")


def unpack(request: Request, folder: Path) -> None:
    """Unpack a package into a folder that is not there yet.

    Raises:
        ArtifactError: it cannot be read, breaks a rule, the folder exists, or the disk is full.
    """
    if folder.exists():
        raise ArtifactError(f"{folder}: exists already, choose another folder")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise ArtifactError(f"{parent}: no such folder")
    with opened(request, parent) as package, partial_folder(parent) as partial:
        package.extract(partial)
        try:
            move_into_place(partial, folder.absolute(), replace=False)  # it may have come meanwhile
        except OSError as error:
            raise ArtifactError(f"{folder}: cannot be created: {error.strerror}") from None


@contextmanager
def opened(request: Request, scratch: Path) -> Iterator[Package]:
    """Copy a package to a file without a name in `scratch`, compare its hash and open it.

    The copy is what is hashed and what is unpacked: nobody can change it in between.

    Raises:
        ArtifactError: it cannot be read, has another hash, or breaks a rule.
    """
    try:
        with tempfile.TemporaryFile(dir=scratch) as copy:
            found = _copy(request, copy)
            if request.sha256 and found != request.sha256.lower():
                wanted = request.sha256[:12].lower()
                raise ArtifactError(
                    f"{request.shown}: SHA-256 is {found[:12]}…, expected {wanted}…"
                )
            with open_package(copy, request.shown, request.trust, request.limit_bytes) as package:
                yield package
    except OSError as error:  # whatever is read fails elsewhere: this is about writing
        raise ArtifactError(f"{scratch}: cannot be written: {error.strerror}") from None


def _copy(request: Request, out: IO[bytes]) -> str:
    """Write the package and return its SHA-256."""
    digest = hashlib.sha256()
    for chunk in request.chunks():
        digest.update(chunk)
        out.write(chunk)
        request.on_bytes(out.tell())
    return digest.hexdigest()


def _is_there(folder: Path, package: Package) -> bool:
    """True if the folder holds this very artifact, undamaged and with this signature."""
    try:
        load_artifact(folder, trust_ungated=True)
        same = read_manifest_bytes(folder) == package.manifest_bytes
        return same and read_signature_bytes(folder) == package.signature
    except ArtifactError:
        return False
