"""Ed25519 keys in PEM files: made, read, and kept in a folder of those that are trusted.

Only this file and edge_pose.signature use the library `cryptography`, and only when they are asked.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_pose.errors import ArtifactError
from edge_pose.user_folder import user_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)

PASSPHRASE_VARIABLE = "EDGE_POSE_KEY_PASSPHRASE"  # noqa: S105 - its name, not its value
PEM_LIMIT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key.

    Attributes:
        raw: its 32 bytes.
    """

    raw: bytes

    @property
    def key_id(self) -> str:
        """A short name: the first 16 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def base64(self) -> str:
        """The key as text."""
        return base64.b64encode(self.raw).decode("ascii")


def need_cryptography() -> None:
    """Fail in one line where the library is missing.

    Raises:
        ArtifactError: it is not installed.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        message = "signatures: cryptography is not installed; pip install 'edge-pose[sign]'"
        raise ArtifactError(message) from None


def make_keys(private: Path, passphrase: bytes | None = None) -> tuple[Path, PublicKey]:
    """Write a new private key (PEM PKCS #8, mode 0600) and its public key beside it.

    Args:
        private: a file that does not exist yet; the public key of `x.pem` goes to `x.pub.pem`.
        passphrase: encrypts the private key.

    Returns:
        The public key's file and the key.

    Raises:
        ArtifactError: a file exists or cannot be written, or cryptography is missing.
    """
    need_cryptography()
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not private.name:
        raise ArtifactError("private key: the name is empty, expected a file name")
    public = private.with_suffix(".pub.pem")
    if public.exists():
        raise ArtifactError(f"{public}: exists already, choose another name for the new key")
    key = Ed25519PrivateKey.generate()
    encryption: pem.KeySerializationEncryption = pem.NoEncryption()
    if passphrase is not None:
        encryption = pem.BestAvailableEncryption(passphrase)
    secret = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption)
    _write_new(private, secret, 0o600)
    try:
        shown = key.public_key().public_bytes(
            pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo
        )
        _write_new(public, shown, 0o644)
    except ArtifactError:
        private.unlink()
        raise
    return public, PublicKey(key.public_key().public_bytes_raw())


def _write_new(file: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist, with these permissions from its first moment."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ArtifactError(f"{file}: exists already, a key is never overwritten") from None
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be written: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - takes over the descriptor
            stream.write(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            file.unlink()
        raise ArtifactError(f"{file}: cannot be written: {error.strerror}") from None


def read_passphrase(file: Path | None) -> bytes | None:
    """Return the first line of a file, else the variable EDGE_POSE_KEY_PASSPHRASE, else None.

    Raises:
        ArtifactError: the file cannot be read or its first line is empty.
    """
    if file is None:
        value = os.environ.get(PASSPHRASE_VARIABLE, "")
        return value.encode() or None
    lines = _read(file).splitlines()
    if not lines or not lines[0]:
        raise ArtifactError(f"{file}: the first line is empty, expected the passphrase")
    return lines[0]


def read_private_key(file: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Read a private key of make_keys.

    Raises:
        ArtifactError: no such key in the file, a wrong passphrase, or cryptography is missing.
    """
    need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(file)
    encrypted = b"ENCRYPTED" in data
    if encrypted and passphrase is None:
        raise ArtifactError(
            f"{file}: is encrypted, give --passphrase-file or set {PASSPHRASE_VARIABLE}"
        )
    try:
        key = load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "wrong passphrase or damaged" if encrypted else "not a private key in PEM"
        raise ArtifactError(f"{file}: {why}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ArtifactError(f"{file}: not an Ed25519 key, make one with: edge-pose model keygen")
    if file.stat().st_mode & 0o077:
        logger.warning("%s: others may read this private key; chmod 600", file)
    return key


def read_public_key(file: Path) -> PublicKey:
    """Read a public key.

    Raises:
        ArtifactError: no Ed25519 public key in the file, or cryptography is missing.
    """
    need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(file)
    if b"PRIVATE KEY" in data:
        raise ArtifactError(f"{file}: is a private key, expected the public one (….pub.pem)")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ArtifactError(f"{file}: not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ArtifactError(f"{file}: not an Ed25519 key")
    return PublicKey(key.public_bytes_raw())


def read_public_keys(paths: Sequence[Path]) -> tuple[PublicKey, ...]:
    """Read PEM files, and all `*.pem` of folders.

    Raises:
        ArtifactError: one cannot be read, or a folder holds none: "trust these" of nothing is no
            reason to trust everything.
    """
    keys: list[PublicKey] = []
    for path in paths:
        files = _pem_files(path) if path.is_dir() else [path]
        if not files:
            raise ArtifactError(f"{path}: no public key (*.pem) in this folder")
        keys += [read_public_key(file) for file in files]
    return tuple(dict.fromkeys(keys))


def trust_folder() -> Path | None:
    """Return the folder of the user's trusted keys, $XDG_CONFIG_HOME/edge_pose/trusted_keys.

    None where this user has no home.
    """
    return user_folder("XDG_CONFIG_HOME", ".config", "trusted_keys")


def trusted_key_files() -> tuple[Path, ...]:
    """Return the files in the trust folder; none where there is no such folder.

    Raises:
        ArtifactError: it cannot be read: no reason to trust everybody.
    """
    folder = trust_folder()
    return tuple(_pem_files(folder)) if folder is not None else ()


def _pem_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be read: {error.strerror}") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(PEM_LIMIT_BYTES)
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None
