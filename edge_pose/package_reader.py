"""Read packed artifacts, trusting nothing.

The size of the directory is checked before it is parsed, every name and attribute before a member
is read, the signature before the manifest is parsed, and each file's SHA-256 while it is written,
before anything opens it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_pose.artifact import (
    MANIFEST,
    MANIFEST_LIMIT_BYTES,
    check_gate,
    check_hash,
    check_size,
    parse_manifest,
)
from edge_pose.errors import ArtifactError
from edge_pose.manifest import FILE_NAME
from edge_pose.package import check_declared, declared_files, sync
from edge_pose.signature import SIGNATURE, SIGNATURE_LIMIT_BYTES, check_signature, parse_signature
from edge_pose.signing_keys import PublicKey

LIMIT_BYTES = 512 << 20
"""The largest package that is accepted unless told otherwise."""
MAX_MEMBERS = 4  # manifest, signature, model, weights
MAX_DIRECTORY_BYTES = 1 << 12
MAX_NAME = 100
CHUNK_BYTES = 1 << 20
ENCRYPTED = 0x1
DOS_FOLDER = 0x10

# The end record of a zip without comment: its last 22 bytes. In front of it a "locator" of 20 bytes
# would lead to the records of files beyond 4 GiB, which would overrule what is checked here.
END = struct.Struct("<4s4H2LH")
END_MAGIC, LARGE_MAGIC, LARGE_BYTES = b"PK\x05\x06", b"PK\x06\x07", 20


@dataclass(frozen=True, slots=True)
class Trust:
    """What an artifact must show before it is taken in.

    Attributes:
        keys: where there are any, a valid signature by one of them.
        ungated: True accepts artifacts without a passed accuracy gate.
    """

    keys: tuple[PublicKey, ...] = ()
    ungated: bool = False


class Package:
    """A package that was found to be acceptable; `open_package` makes it.

    Attributes:
        manifest: the validated manifest.
        manifest_bytes: what it was read from.
        signature: the content of manifest.json.sig, None if there is none.
        signer: the trusted key that signed; None where none was asked for.
    """

    def __init__(self, archive: zipfile.ZipFile, where: str, trust: Trust) -> None:
        self._archive, self._where = archive, where
        self._members = _check_members(archive.infolist(), where)
        self.manifest_bytes = self._read(MANIFEST, MANIFEST_LIMIT_BYTES)
        self.signature: bytes | None = None
        self.signer: PublicKey | None = None
        if SIGNATURE in self._members:
            self.signature = self._read(SIGNATURE, SIGNATURE_LIMIT_BYTES)
            parse_signature(self.signature, f"{where}: {SIGNATURE}")
        if trust.keys:
            self.signer = check_signature(self.signature, self.manifest_bytes, trust.keys, where)
        self.manifest = parse_manifest(self.manifest_bytes, f"{where}: {MANIFEST}")
        self._check_files()
        if not trust.ungated:
            check_gate(self.manifest, where)

    def _check_files(self) -> None:
        """Hold what the archive holds against what the manifest says that it holds."""
        check_declared(self.manifest, self._where)
        declared = declared_files(self.manifest)
        for name in self._members:
            if name not in (MANIFEST, SIGNATURE, *declared):
                raise ArtifactError(
                    f"{self._where}: holds '{name}', of which the manifest says nothing"
                )
        for name, (_, size_bytes) in declared.items():
            if name not in self._members:
                raise ArtifactError(f"{self._where}: '{name}' is missing, the manifest names it")
            check_size(self._members[name].file_size, size_bytes, f"{self._where}: {name}")

    def extract(self, folder: Path) -> None:
        """Write all files into an empty folder, each hashed on its way.

        Raises:
            ArtifactError: a hash differs, the package is damaged, or the disk is full.
        """
        try:
            for name, (sha256, _) in declared_files(self.manifest).items():
                with (folder / name).open("xb") as out:
                    digest = hashlib.sha256()
                    for chunk in self._chunks(name):
                        digest.update(chunk)
                        out.write(chunk)
                    check_hash(digest.hexdigest(), sha256, f"{self._where}: {name}")
                    sync(out)
            for name, data in ((MANIFEST, self.manifest_bytes), (SIGNATURE, self.signature)):
                if data is not None:
                    with (folder / name).open("xb") as out:
                        out.write(data)
                        sync(out)
        except OSError as error:
            raise ArtifactError(f"{folder.parent}: cannot be written: {error.strerror}") from None

    def _read(self, name: str, limit_bytes: int) -> bytes:
        if name not in self._members:
            raise ArtifactError(f"{self._where}: no {name} in it, not a packed artifact")
        if self._members[name].file_size > limit_bytes:
            raise ArtifactError(f"{self._where}: {name} is longer than {limit_bytes} bytes")
        return b"".join(self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a member; never more than the directory said."""
        with _one_line(self._where), self._archive.open(self._members[name]) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk


@contextmanager
def open_package(
    stream: IO[bytes], where: str, trust: Trust, limit_bytes: int = LIMIT_BYTES
) -> Iterator[Package]:
    """Open a package, checking all but the contents of model and weights.

    Args:
        stream: the file, seekable.
        where: its name in errors.
        trust: signature and gate that are required.
        limit_bytes: the largest package accepted.

    Raises:
        ArtifactError: it is not a package, or breaks one of the rules.
    """
    _check_end(stream, where, limit_bytes)
    with _one_line(where):
        archive = zipfile.ZipFile(stream)
    with archive:
        yield Package(archive, where, trust)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Turn what zipfile says about a damaged archive into one line."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise ArtifactError(f"{where}: damaged or not a packed artifact: {error}") from None
    except OSError as error:
        raise ArtifactError(f"{where}: cannot be read: {error.strerror or error}") from None


def _check_end(stream: IO[bytes], where: str, limit_bytes: int) -> None:
    """Check size and end record before zipfile parses the directory, however long it may be."""
    size_bytes = stream.seek(0, os.SEEK_END)
    if size_bytes > limit_bytes:
        raise too_large(where, limit_bytes)
    stream.seek(max(0, size_bytes - END.size - LARGE_BYTES))
    tail = stream.read()
    if len(tail) < END.size:
        raise ArtifactError(f"{where}: damaged or not a packed artifact: {size_bytes} bytes long")
    magic, *_, members, directory_bytes, start, comment = END.unpack(tail[-END.size :])
    whole = start + directory_bytes + END.size == size_bytes  # nothing in front of the first member
    if magic != END_MAGIC or comment or tail.startswith(LARGE_MAGIC) or not whole:
        raise ArtifactError(
            f"{where}: damaged or not a packed artifact: no plain end record of a zip file"
        )
    if members > MAX_MEMBERS:
        raise ArtifactError(f"{where}: {members} files, an artifact has {MAX_MEMBERS} at most")
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise ArtifactError(f"{where}: a directory of {directory_bytes} bytes, not an artifact's")


def too_large(where: str, limit_bytes: int) -> ArtifactError:
    """Return the refusal of a package beyond the limit."""
    return ArtifactError(
        f"{where}: larger than {limit_bytes / (1 << 20):g} MiB, the limit of --max-mib"
    )


def _check_members(members: Sequence[zipfile.ZipInfo], where: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name: plain stored files with plain names, each there once.

    What zipfile found is counted again: the number in the end record may be a lie.
    """
    if len(members) > MAX_MEMBERS:
        raise ArtifactError(f"{where}: {len(members)} files, an artifact has {MAX_MEMBERS} at most")
    by_name: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        name = info.orig_filename  # `filename` ends at a NUL and has its separators replaced
        if problem := _member_problem(info):
            raise ArtifactError(f"{where}: member {name[:80]!r}: {problem}")
        if name in by_name:
            raise ArtifactError(f"{where}: member {name[:80]!r}: is there twice")
        by_name[name] = info
    return by_name


def _plain(name: str) -> bool:
    return len(name) <= MAX_NAME and re.fullmatch(FILE_NAME, name) is not None


def _member_problem(info: zipfile.ZipInfo) -> str | None:
    """Return what is wrong with a member, None if nothing is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    checks = (
        (stat.S_ISLNK(kind), "is a link, only plain files are allowed"),
        (stat.S_ISDIR(kind) or info.external_attr & DOS_FOLDER, "is a folder, not allowed"),
        (kind not in (0, stat.S_IFREG), "is a device or pipe, only plain files are allowed"),
        (not _plain(info.orig_filename), f"not a plain file name of up to {MAX_NAME} letters"),
        (info.flag_bits & ENCRYPTED, "is encrypted, artifacts are signed, not encrypted"),
        (
            info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size,
            "is compressed, artifacts are packed stored (edge-pose model pack)",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), None)
