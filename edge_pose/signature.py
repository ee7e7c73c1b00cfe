"""Signatures of artifacts: Ed25519 (RFC 8032) over the exact bytes of `manifest.json`.

The manifest holds the SHA-256 of the model and of the weights, so that one signature covers the
artifact: whoever edits the gate's verdict, a size or a hash afterwards breaks it. It lies beside
the manifest, in `manifest.json.sig`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pose.artifact import MANIFEST, load_artifact, read_manifest_bytes, read_start
from edge_pose.config import first_error
from edge_pose.errors import ArtifactError
from edge_pose.signing_keys import PublicKey, need_cryptography, read_private_key
from edge_pose.strict_json import parse_json

SIGNATURE = f"{MANIFEST}.sig"
SIGNATURE_LIMIT_BYTES = 1 << 12
SCHEMA = "edge_pose.signature/1"
# Stands before the manifest in what is signed: a signature of anything else never fits here.
DOMAIN = f"{SCHEMA} {MANIFEST}\0".encode("ascii")
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=100)]


class SignatureFile(BaseModel):
    """The content of manifest.json.sig."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["edge_pose.signature/1"] = Field(alias="schema")
    algorithm: Literal["ed25519"]
    public_key: Base64 = Field(description="32 bytes")
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$", description="from the key's SHA-256")
    signature: Base64 = Field(description="64 bytes")

    @property
    def key(self) -> PublicKey:
        """The key that the file names; whether to trust it is another question."""
        return PublicKey(base64.b64decode(self.public_key))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about the signature of an artifact.

    Attributes:
        state: "trusted": valid, by a trusted key. "untrusted": valid, by another key. "unsigned".
            "invalid": damaged, or the manifest was changed. "unchecked": cryptography is missing.
        key_id: of the signer; empty if unknown.
        reason: one line for people.
    """

    state: Literal["trusted", "untrusted", "unsigned", "invalid", "unchecked"]
    key_id: str
    reason: str


def sign_artifact(
    folder: Path, private: Path, passphrase: bytes | None = None, *, trust_ungated: bool = False
) -> PublicKey:
    """Check an artifact and write its signature beside the manifest.

    Args:
        folder: the artifact's.
        private: PEM file of the key.
        passphrase: of the key.
        trust_ungated: also sign artifacts whose accuracy was never checked.

    Raises:
        ArtifactError: the artifact is not sound, the key cannot be read, or the disk is full.
    """
    key = read_private_key(private, passphrase)
    load_artifact(folder, trust_ungated=trust_ungated)
    manifest = read_manifest_bytes(folder)
    public = PublicKey(key.public_key().public_bytes_raw())
    values = {
        "schema": SCHEMA,
        "algorithm": "ed25519",
        "public_key": public.base64,
        "key_id": public.key_id,
        "signature": base64.b64encode(key.sign(DOMAIN + manifest)).decode("ascii"),
    }
    target, partial = folder / SIGNATURE, folder / f".{SIGNATURE}.partial-{os.getpid()}"
    try:
        partial.write_text(json.dumps(values, indent=2) + "\n", "ascii")
        partial.replace(target)
    except OSError as error:
        raise ArtifactError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return public


def require_signature(folder: Path, manifest: bytes, trusted: Sequence[PublicKey]) -> PublicKey:
    """Return the trusted key that signed these bytes of the folder's manifest.

    Raises:
        ArtifactError: no signature, a damaged one, one by another key or of another manifest.
    """
    return check_signature(read_signature_bytes(folder), manifest, trusted, folder)


def check_signature(
    signature: bytes | None, manifest: bytes, trusted: Sequence[PublicKey], where: object
) -> PublicKey:
    """Return the trusted key that signed a manifest.

    Args:
        signature: the content of manifest.json.sig; None if there is none.
        manifest: the content of manifest.json.
        trusted: keys of which one must have signed.
        where: named in errors.

    Raises:
        ArtifactError: it was not signed by one of them, or is not what they signed.
    """
    known = ", ".join(key.key_id for key in trusted)
    if signature is None:
        raise ArtifactError(f"{where}: not signed, expected a signature by {known}")
    parsed = parse_signature(signature, f"{where}: {SIGNATURE}")
    if parsed.key not in trusted:
        raise ArtifactError(
            f"{where}: signed by {parsed.key_id}, which is not trusted (trusted: {known})"
        )
    _verify(parsed, manifest, where)
    return parsed.key


def judge_signature(folder: Path, manifest: bytes, trusted: Sequence[PublicKey]) -> Verdict:
    """Say what there is to say about a folder's signature, without insisting on one."""
    key_id = ""
    try:
        data = read_signature_bytes(folder)
        if data is None:
            return Verdict("unsigned", "", "not signed")
        parsed = parse_signature(data, SIGNATURE)
        key_id = parsed.key_id
        need_cryptography()
    except ArtifactError as error:
        state: Literal["unchecked", "invalid"] = "unchecked" if key_id else "invalid"
        return Verdict(state, key_id, str(error))
    try:
        _verify(parsed, manifest, folder)
    except ArtifactError as error:
        return Verdict("invalid", key_id, str(error))
    if parsed.key in trusted:
        return Verdict("trusted", key_id, f"valid, by trusted key {key_id}")
    return Verdict("untrusted", key_id, f"valid, but nothing here says that {key_id} is trusted")


def read_signature_bytes(folder: Path) -> bytes | None:
    """Return the content of manifest.json.sig, None if there is none.

    Raises:
        ArtifactError: it cannot be read or is no plain file.
    """
    file = folder / SIGNATURE
    try:
        return read_start(file, SIGNATURE_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None


def parse_signature(data: bytes, where: object) -> SignatureFile:
    """Validate the bytes of a signature file.

    Raises:
        ArtifactError: it is too long, not JSON, or its parts do not fit each other.
    """
    if len(data) > SIGNATURE_LIMIT_BYTES:
        raise ArtifactError(f"{where}: longer than {SIGNATURE_LIMIT_BYTES} bytes, not a signature")
    try:
        parsed = SignatureFile.model_validate(parse_json(data))
        lengths = [len(base64.b64decode(v)) for v in (parsed.public_key, parsed.signature)]
    except ValidationError as error:
        raise ArtifactError(f"{where}: damaged: {first_error(error)}") from None
    except ValueError as error:
        raise ArtifactError(f"{where}: damaged: {error}") from None
    if lengths != [32, 64]:
        raise ArtifactError(
            f"{where}: damaged: key and signature have {lengths} bytes, expected [32, 64]"
        )
    if parsed.key.key_id != parsed.key_id:
        raise ArtifactError(f"{where}: damaged: key_id {parsed.key_id} is not that of its key")
    return parsed


def _verify(signature: SignatureFile, manifest: bytes, where: object) -> None:
    need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(signature.key.raw)
    try:
        key.verify(base64.b64decode(signature.signature), DOMAIN + manifest)
    except InvalidSignature:
        raise ArtifactError(
            f"{where}: the signature by {signature.key_id} does not fit: the manifest was changed"
            " after it was signed"
        ) from None
