"""Who vouches for an artifact: keys, signatures, and all the ways in which they do not fit."""

from __future__ import annotations

import base64
import json
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from edge_pose.artifact import load_artifact, read_manifest_bytes
from edge_pose.cli import cli
from edge_pose.errors import ArtifactError
from edge_pose.signature import SIGNATURE, judge_signature, require_signature, sign_artifact
from edge_pose.signing_keys import (
    PASSPHRASE_VARIABLE,
    make_keys,
    read_passphrase,
    read_private_key,
    read_public_key,
    read_public_keys,
    trusted_key_files,
)

# RFC 8032, section 7.1, test 1.
RFC_PRIVATE = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.fixture(autouse=True)
def _cryptography(need: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    need("cryptography")
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@dataclass
class Keys:
    private: Path
    public: Path


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Keys]:
    def make_one(name: str) -> Keys:
        private = tmp_path / f"{name}.pem"
        public, _ = make_keys(private)
        return Keys(private, public)

    return make_one


@pytest.fixture
def maker(make: Callable[[str], Keys]) -> Keys:
    return make("maker")


@pytest.fixture
def signed(artifact_copy: Any, maker: Keys) -> Any:
    sign_artifact(artifact_copy.folder, maker.private)
    return artifact_copy


def refusal(call: Callable[[], object]) -> str:
    """Return the message of the refusal, which must be one line."""
    with pytest.raises(ArtifactError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_signed_artifact_is_loaded_by_whoever_trusts_the_key(signed: Any, maker: Keys) -> None:
    artifact = load_artifact(signed.folder, trusted_keys=[maker.public])
    assert artifact.model == signed.model.read_bytes()
    assert load_artifact(signed.folder).manifest == artifact.manifest  # nobody asked for one


def test_the_same_artifact_and_key_give_the_same_signature(signed: Any, maker: Keys) -> None:
    file = signed.folder / SIGNATURE
    before = file.read_bytes()
    sign_artifact(signed.folder, maker.private)
    assert file.read_bytes() == before
    assert sorted(path.name for path in signed.folder.iterdir()) == [
        "manifest.json", SIGNATURE, "model.onnx",
    ]  # fmt: skip


def test_what_is_signed_is_not_the_manifest_alone(signed: Any, maker: Keys) -> None:
    """A signature made for another purpose, over the same bytes, must not fit here."""
    key = read_private_key(maker.private)
    values = json.loads((signed.folder / SIGNATURE).read_text())
    values["signature"] = base64.b64encode(key.sign(signed.manifest.read_bytes())).decode()
    (signed.folder / SIGNATURE).write_text(json.dumps(values))
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert "does not fit" in message


def test_no_signature(artifact_copy: Any, maker: Keys) -> None:
    message = refusal(lambda: load_artifact(artifact_copy.folder, trusted_keys=[maker.public]))
    assert "not signed, expected a signature by " in message
    assert read_public_key(maker.public).key_id in message


@pytest.mark.parametrize(
    ("key", "value"),
    [("gate.passed", True), ("file.sha256", "ab" * 32), ("input.mean", [1.0, 2.0, 3.0])],
)
def test_a_manifest_edited_after_it_was_signed(
    artifact_copy: Any, maker: Keys, key: str, value: object
) -> None:
    artifact_copy.set("gate.passed", False)
    sign_artifact(artifact_copy.folder, maker.private, trust_ungated=True)
    artifact_copy.set(key, value)
    message = refusal(lambda: load_artifact(artifact_copy.folder, trusted_keys=[maker.public]))
    assert "does not fit: the manifest was changed after it was signed" in message


def test_one_changed_bit_of_white_space_counts(signed: Any, maker: Keys) -> None:
    signed.manifest.write_bytes(signed.manifest.read_bytes() + b"\n")
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert "does not fit" in message


def test_a_changed_model_is_refused_by_its_hash(signed: Any, maker: Keys) -> None:
    signed.model.write_bytes(signed.model.read_bytes()[:-1] + b"?")
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert "SHA-256" in message


def test_the_signature_of_another_artifact(
    signed: Any, maker: Keys, tmp_path: Path, tiny_artifact: Path
) -> None:
    other = Path(shutil.copytree(tiny_artifact, tmp_path / "other"))
    manifest = other / "manifest.json"
    manifest.write_text(manifest.read_text().replace("blobs_fp32", "blobs_other"))
    sign_artifact(other, maker.private)
    shutil.copy(other / SIGNATURE, signed.folder / SIGNATURE)
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert "does not fit" in message


def test_the_signature_of_somebody_else(signed: Any, make: Callable[[str], Keys]) -> None:
    other = make("other")
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[other.public]))
    assert "which is not trusted" in message
    assert read_public_key(other.public).key_id in message


def test_a_trusted_key_written_over_the_signers_does_not_help(
    signed: Any, make: Callable[[str], Keys]
) -> None:
    other = read_public_key(make("other").public)
    file = signed.folder / SIGNATURE
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "public_key": other.base64, "key_id": other.key_id}))
    data = read_manifest_bytes(signed.folder)
    assert "does not fit" in refusal(lambda: require_signature(signed.folder, data, [other]))


def test_one_of_several_keys_is_enough(signed: Any, maker: Keys, make: Any) -> None:
    load_artifact(signed.folder, trusted_keys=[make("other").public, maker.public])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": "edge_pose.signature/2"}, "schema: Input should be 'edge_pose.signature/1'"),
        ({"algorithm": "none"}, "algorithm: Input should be 'ed25519'"),
        ({"signature": "AAAA"}, "have [32, 3] bytes, expected [32, 64]"),
        ({"signature": "not base64!"}, "signature: "),
        ({"public_key": "A"}, "damaged: "),
        ({"key_id": "0" * 16}, "is not that of its key"),
        ({"note": 1}, "note: Extra inputs are not permitted"),
    ],
)
def test_a_signature_file_with_a_wrong_field(
    signed: Any, maker: Keys, change: dict[str, object], expected: str
) -> None:
    file = signed.folder / SIGNATURE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert SIGNATURE in message
    assert expected in message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 4000, b" " * 9999])
def test_a_signature_file_that_is_none(signed: Any, maker: Keys, data: bytes) -> None:
    (signed.folder / SIGNATURE).write_bytes(data)
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert SIGNATURE in message


def test_a_signature_that_cannot_be_read(artifact_copy: Any, maker: Keys) -> None:
    (artifact_copy.folder / SIGNATURE).mkdir()
    message = refusal(lambda: load_artifact(artifact_copy.folder, trusted_keys=[maker.public]))
    assert "is no plain file" in message


def test_what_is_said_where_nobody_insists(signed: Any, maker: Keys) -> None:
    data, key = signed.manifest.read_bytes(), read_public_key(maker.public)
    assert judge_signature(signed.folder, data, [key]).state == "trusted"
    assert judge_signature(signed.folder, data, []).state == "untrusted"
    assert judge_signature(signed.folder, data + b" ", [key]).state == "invalid"
    (signed.folder / SIGNATURE).write_bytes(b"{")
    assert judge_signature(signed.folder, data, [key]).state == "invalid"
    (signed.folder / SIGNATURE).unlink()
    assert judge_signature(signed.folder, data, [key]).state == "unsigned"


def test_an_unsound_artifact_is_not_signed(artifact_copy: Any, maker: Keys) -> None:
    artifact_copy.set("gate.passed", False)
    message = refusal(lambda: sign_artifact(artifact_copy.folder, maker.private))
    assert "failed its accuracy gate" in message
    artifact_copy.replace_model(b"damaged", rehash=False)
    message = refusal(
        lambda: sign_artifact(artifact_copy.folder, maker.private, trust_ungated=True)
    )
    assert "the file was damaged or changed" in message
    assert not (artifact_copy.folder / SIGNATURE).exists()


def test_key_files(tmp_path: Path) -> None:
    private = tmp_path / "maker.pem"
    public, key = make_keys(private)
    assert public == tmp_path / "maker.pub.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert read_public_key(public) == key
    assert read_private_key(private).public_key().public_bytes_raw() == key.raw
    assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    before = private.read_bytes()
    assert "exists already" in refusal(lambda: make_keys(private))
    public.unlink()
    assert "a key is never overwritten" in refusal(lambda: make_keys(private))
    assert private.read_bytes() == before
    assert not public.exists()
    missing = tmp_path / "nowhere" / "key.pem"
    assert "cannot be written: No such file" in refusal(lambda: make_keys(missing))


def test_the_key_id_is_that_of_the_documents() -> None:
    """A key's name and the algorithm are those of others' tools: RFC 8032's first test vector."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_pose.signing_keys import PublicKey

    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_PRIVATE))
    assert key.public_key().public_bytes_raw() == bytes.fromhex(RFC_PUBLIC)
    assert PublicKey(bytes.fromhex(RFC_PUBLIC)).key_id == "21fe31dfa154a261"


def test_a_private_key_with_a_passphrase(
    tmp_path: Path, artifact_copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = tmp_path / "word"
    word.write_text("correct horse\nsecond line\n")
    private = tmp_path / "maker.pem"
    public, key = make_keys(private, read_passphrase(word))
    assert b"ENCRYPTED" in private.read_bytes()
    assert "--passphrase-file" in refusal(lambda: sign_artifact(artifact_copy.folder, private))
    wrong = refusal(lambda: sign_artifact(artifact_copy.folder, private, b"wrong"))
    assert wrong.endswith("wrong passphrase or damaged")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    assert sign_artifact(artifact_copy.folder, private, read_passphrase(None)) == key
    load_artifact(artifact_copy.folder, trusted_keys=[public])
    word.write_text("\n")
    assert "the first line is empty" in refusal(lambda: read_passphrase(word))


def test_files_that_hold_no_such_key(tmp_path: Path, maker: Keys) -> None:
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    text = tmp_path / "text.pem"
    text.write_text("hello")
    other = ec.generate_private_key(ec.SECP256R1())
    elliptic, elliptic_public = tmp_path / "ec.pem", tmp_path / "ec.pub.pem"
    elliptic.write_bytes(
        other.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    elliptic_public.write_bytes(
        other.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    assert "not a public key in PEM" in refusal(lambda: read_public_key(text))
    assert "not an Ed25519 key" in refusal(lambda: read_public_key(elliptic_public))
    assert "is a private key" in refusal(lambda: read_public_key(maker.private))
    assert "cannot be read" in refusal(lambda: read_public_key(tmp_path / "none.pem"))
    assert "not a private key in PEM" in refusal(lambda: read_private_key(text))
    assert "not a private key in PEM" in refusal(lambda: read_private_key(maker.public))
    assert "not an Ed25519 key" in refusal(lambda: read_private_key(elliptic))


def test_a_private_key_that_others_may_read_is_told(
    maker: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    read_private_key(maker.private)
    assert caplog.messages == []
    maker.private.chmod(0o644)
    read_private_key(maker.private)
    assert "others may read this private key" in caplog.text


def test_a_folder_of_trusted_keys(
    signed: Any, maker: Keys, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert trusted_key_files() == ()
    folder = tmp_path / "config" / "edge_pose" / "trusted_keys"
    folder.parent.mkdir(parents=True)
    folder.write_text("a file: trust that cannot be read is no reason to trust everybody")
    assert "cannot be read: Not a directory" in refusal(trusted_key_files)
    folder.unlink()
    folder.mkdir()
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[folder]))
    assert "no public key (*.pem) in this folder" in message
    for keys in (maker, make("other")):
        shutil.copy(keys.public, folder)
    assert len(trusted_key_files()) == 2
    assert read_public_keys([folder, maker.public]) == read_public_keys(trusted_key_files())
    load_artifact(signed.folder, trusted_keys=[folder])


def test_a_missing_library_says_what_to_install(
    signed: Any, maker: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    message = refusal(lambda: load_artifact(signed.folder, trusted_keys=[maker.public]))
    assert "pip install 'edge-pose[sign]'" in message
    assert "edge-pose[sign]" in refusal(lambda: make_keys(maker.private))
    verdict = judge_signature(signed.folder, signed.manifest.read_bytes(), [])
    assert verdict.state == "unchecked"
    load_artifact(signed.folder)  # who asks for no signature needs no library


def test_a_run_takes_only_what_a_trusted_key_signed(
    artifact_copy: Any, make_clip: Any, maker: Keys
) -> None:
    arguments = ["run", str(make_clip(frames=2)), "--model", str(artifact_copy.folder), "--json"]
    arguments += ["--trusted-key", str(maker.public)]
    refused = CliRunner().invoke(cli, arguments)
    assert isinstance(refused.exception, ArtifactError)
    assert "sign" in str(refused.exception)
    sign_artifact(artifact_copy.folder, maker.private)
    accepted = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert accepted.exit_code == 0, accepted.output
