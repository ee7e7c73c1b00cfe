"""Packed artifacts: the same bytes every time, and crafted archives that get nowhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_pose import package_reader
from edge_pose.artifact import load_artifact
from edge_pose.errors import ArtifactError
from edge_pose.model_pull import Request, unpack
from edge_pose.package import pack, write_zip
from edge_pose.package_reader import Trust

Members = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture
def packed(tiny_artifact: Path, tmp_path: Path) -> Path:
    out = tmp_path / "blobs.edgepose"
    pack(tiny_artifact, out)
    return out


@pytest.fixture
def contents(tiny_artifact: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tiny_artifact.iterdir()}


def member(name: str, *, mode: int = stat.S_IFREG | 0o644, dos: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = mode << 16 | dos
    return info


def craft(file: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write whatever it is told, as only an attacker would."""
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # "Duplicate name"
        for info, data in members:
            archive.writestr(info, data, compression)
    return file


def good(contents: dict[str, bytes]) -> Members:
    return [(member(name), data) for name, data in sorted(contents.items())]


def refusal(file: Path, trust: Trust | None = None, **options: Any) -> str:
    """Return the one line of the refusal, which leaves nothing behind."""
    out = file.parent / "unpacked"
    before = {path for path in file.parent.parent.rglob("*") if "unpacked" not in path.parts}
    with pytest.raises(ArtifactError) as caught:
        unpack(Request(str(file), trust or Trust(), **options), out)
    message = str(caught.value)
    assert message.isprintable(), repr(message)
    assert set(file.parent.parent.rglob("*")) == before
    return message


def test_a_package_unpacks_to_the_same_artifact(
    packed: Path, tiny_artifact: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    unpack(Request(str(packed)), tmp_path / "new")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == contents
    original = load_artifact(tiny_artifact)
    assert load_artifact(tmp_path / "new").manifest == original.manifest


def test_a_model_of_two_files(artifact_copy: Any, tmp_path: Path) -> None:
    weights = bytes(range(256))
    (artifact_copy.folder / "model.bin").write_bytes(weights)
    entry = {
        "name": "model.bin",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "size_bytes": len(weights),
    }
    artifact_copy.set("file.format", "openvino").set("file.weights", entry)
    pack(artifact_copy.folder, tmp_path / "two.edgepose")
    unpack(Request(str(tmp_path / "two.edgepose")), tmp_path / "new")
    assert load_artifact(tmp_path / "new").weights == weights


def test_the_bytes_depend_on_nothing_but_the_artifact(
    packed: Path, artifact_copy: Any, tmp_path: Path
) -> None:
    for number, file in enumerate(sorted(artifact_copy.folder.iterdir())):
        os.utime(file, (number * 1e8, number * 1e8))
        file.chmod(0o600)
    (artifact_copy.folder / "notes.txt").write_text("not declared, not packed")
    pack(artifact_copy.folder, tmp_path / "again.edgepose")
    assert (tmp_path / "again.edgepose").read_bytes() == packed.read_bytes()


def test_the_format_stays_as_it_is() -> None:
    """Packages of all versions of Python and edge_pose are the same, byte by byte."""
    stream = io.BytesIO()
    write_zip(stream, {"b": b"second", "a": b"first"})
    expected = "e56c9f65e403857aebafee0792b9ff7e6b15cb828404532d347f9cec9f4d10cc"
    assert hashlib.sha256(stream.getvalue()).hexdigest() == expected


def test_other_tools_read_it(packed: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_only_a_sound_artifact_is_packed(artifact_copy: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.edgepose"

    def refused(expected: str, **options: bool) -> None:
        with pytest.raises(ArtifactError, match=expected):
            pack(artifact_copy.folder, out, **options)
        assert not out.exists()

    artifact_copy.set("gate.passed", False)
    refused("failed its accuracy gate")
    pack(artifact_copy.folder, out, trust_ungated=True)
    assert "failed its accuracy gate" in refusal(out)
    unpack(Request(str(out), Trust(ungated=True)), tmp_path / "new")
    out.unlink()
    artifact_copy.set("gate.passed", True).set("file.size_bytes", 7)
    refused("the manifest says 7")
    artifact_copy.set("file.name", "manifest.json")
    artifact_copy.set(
        "file.sha256", hashlib.sha256(artifact_copy.manifest.read_bytes()).hexdigest()
    )
    refused("bytes, the manifest says")
    (artifact_copy.folder / "manifest.json.sig").write_text("{")
    artifact_copy.set("file.name", "model.onnx").replace_model(b"m").set("file.size_bytes", 1)
    refused("damaged")


def test_where_nothing_can_be_written(tiny_artifact: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "no" / "x.edgepose", tiny_artifact / "model.onnx" / "x.edgepose"):
        with pytest.raises(ArtifactError, match=r"x\.edgepose: cannot be written: No"):
            pack(tiny_artifact, out)
    with pytest.raises(ArtifactError, match="expected a file name"):
        pack(tiny_artifact, Path())


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (member("../evil"), "'../evil': not a plain file name"),
        (member("/etc/evil"), "'/etc/evil': not a plain file name"),
        (member("a/b"), "not a plain file name"),
        (member("..\\evil"), "not a plain file name"),
        (member("C:evil"), "not a plain file name"),
        (member(".hidden"), "not a plain file name"),
        (member("evil\n"), "not a plain file name"),
        (member("\x1b[31mred"), "not a plain file name"),
        (member("x" * 300), "not a plain file name"),
        (member("link", mode=stat.S_IFLNK | 0o777), "'link': is a link"),
        (member("folder", mode=stat.S_IFDIR | 0o755), "is a folder"),
        (member("folder", dos=0x10), "is a folder"),
        (member("pipe", mode=stat.S_IFIFO | 0o644), "is a device or pipe"),
        (member("device", mode=stat.S_IFBLK | 0o644), "is a device or pipe"),
        (member("manifest.json"), "'manifest.json': is there twice"),
        (member("model.onnx"), "'model.onnx': is there twice"),
        (member("extra.so"), "holds 'extra.so', of which the manifest says nothing"),
    ],
)
def test_a_member_that_does_not_belong_there(
    contents: dict[str, bytes], tmp_path: Path, info: zipfile.ZipInfo, expected: str
) -> None:
    target = b"/etc/passwd" if info.filename == "link" else b"evil"
    file = craft(tmp_path / "crafted.edgepose", [*good(contents), (info, target)])
    assert expected in refusal(file)


def test_the_model_itself_as_a_link(contents: dict[str, bytes], tmp_path: Path) -> None:
    members = good(contents)
    members[1] = (member("model.onnx", mode=stat.S_IFLNK | 0o777), b"/dev/zero")
    assert "is a link" in refusal(craft(tmp_path / "crafted.edgepose", members))


def test_a_name_that_goes_on_after_a_nul(packed: Path) -> None:
    data = packed.read_bytes()
    changed = data.replace(b"model.onnx", b"model.on\0x")
    assert changed.count(b"model.on\0x") == 2 + data.count(b'"model.onnx"')
    packed.write_bytes(changed)
    assert "not a plain file name" in refusal(packed)


def test_a_bomb_is_not_unfolded(contents: dict[str, bytes], tmp_path: Path) -> None:
    bomb = {**contents, "model.onnx": bytes(50_000_000)}
    file = craft(tmp_path / "bomb.edgepose", good(bomb), zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 100_000
    assert "is compressed" in refusal(file)


def test_a_bomb_that_claims_to_be_stored(packed: Path, tmp_path: Path) -> None:
    """A member of 4 GB in a file of 3 kB: only in the directory."""
    data = bytearray(packed.read_bytes())
    start = data.rindex(b"PK\x01\x02")  # the last member's entry: compressed and full size
    struct.pack_into("<LL", data, start + 20, 0xFFFFFFF0, 0xFFFFFFF0)
    packed.write_bytes(data)
    assert "the manifest says" in refusal(packed)


def test_a_huge_manifest(contents: dict[str, bytes], tmp_path: Path) -> None:
    long = {**contents, "manifest.json": contents["manifest.json"] + b" " * (1 << 20)}
    assert "longer than 1048576 bytes" in refusal(craft(tmp_path / "x.edgepose", good(long)))
    deep = {**contents, "manifest.json": b"[" * 500_000}
    assert "not valid JSON" in refusal(craft(tmp_path / "x.edgepose", good(deep)))


def test_limits_of_size_and_number(
    packed: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "larger than" in refusal(packed, limit_bytes=packed.stat().st_size - 1)
    many = [*good(contents), *[(member(f"x{i}"), b"") for i in range(10)]]
    craft(packed, many)
    assert "12 files, an artifact has 4 at most" in refusal(packed)
    # The same, but the end record says two: the directory is counted, not believed.
    data = bytearray(packed.read_bytes())
    struct.pack_into("<HH", data, len(data) - 22 + 8, 2, 2)
    packed.write_bytes(data)
    assert "12 files, an artifact has 4 at most" in refusal(packed)
    # A directory too long to be parsed at all, however many files the end record admits.
    craft(packed, [(member(f"x{i}"), b"") for i in range(1000)])
    data = bytearray(packed.read_bytes())
    struct.pack_into("<HH", data, len(data) - 22 + 8, 2, 2)
    packed.write_bytes(data)
    monkeypatch.setattr(package_reader.zipfile, "ZipFile", None)
    assert "a directory of " in refusal(packed)


def test_an_end_record_of_a_large_archive(packed: Path) -> None:
    data = packed.read_bytes()
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)
    end = bytearray(data[-22:])
    length = struct.unpack_from("<L", end, 12)[0] + len(locator)
    struct.pack_into("<L", end, 12, length)  # the directory ends where the end record begins
    packed.write_bytes(data[:-22] + locator + bytes(end))
    assert "no plain end record" in refusal(packed)


def test_encryption_is_refused(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(magic) + offset] |= 1
    packed.write_bytes(data)
    assert "artifacts are signed, not encrypted" in refusal(packed)


def test_a_wrong_hash_of_the_right_size(contents: dict[str, bytes], tmp_path: Path) -> None:
    model = contents["model.onnx"]
    changed = {**contents, "model.onnx": model[:-1] + bytes([model[-1] ^ 1])}
    message = refusal(craft(tmp_path / "x.edgepose", good(changed)))
    assert "model.onnx: SHA-256 is " in message
    shorter = {**contents, "model.onnx": model[:-1]}
    message = refusal(craft(tmp_path / "x.edgepose", good(shorter)))
    assert f"model.onnx: {len(model) - 1} bytes, the manifest says {len(model)}" in message


def test_missing_members(contents: dict[str, bytes], tmp_path: Path) -> None:
    for name, expected in (
        ("manifest.json", "no manifest.json in it, not a packed artifact"),
        ("model.onnx", "'model.onnx' is missing"),
    ):
        rest = {key: data for key, data in contents.items() if key != name}
        assert expected in refusal(craft(tmp_path / "x.edgepose", good(rest)))


def test_a_manifest_that_gives_its_own_name_away(artifact_copy: Any, tmp_path: Path) -> None:
    for name in ("manifest.json", "manifest.json.sig"):
        artifact_copy.set("file.name", name)
        members = [(member("manifest.json"), artifact_copy.manifest.read_bytes())]
        message = refusal(craft(tmp_path / "x.edgepose", members))
        assert f"gives the name '{name}' to two files" in message


@pytest.mark.parametrize("keep", [0, 1, 21, 22, 100, 1000, -1, -10, -22, -23])
def test_a_truncated_package(packed: Path, keep: int) -> None:
    packed.write_bytes(packed.read_bytes()[:keep])
    assert "damaged or not a packed artifact" in refusal(packed)


@pytest.mark.parametrize("data", [b"hello", b"\x7fELF" + bytes(100), b"PK\x05\x06" + bytes(18)])
def test_files_of_another_kind(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.edgepose"
    file.write_bytes(data)
    assert "not a packed artifact" in refusal(file)


def test_a_comment_or_bytes_behind_the_end(packed: Path) -> None:
    data = packed.read_bytes()
    packed.write_bytes(data + b"appended")
    assert "no plain end record" in refusal(packed)
    packed.write_bytes(data[:-2] + struct.pack("<H", 5) + b"hello")
    assert "no plain end record" in refusal(packed)


def test_bytes_in_front(packed: Path) -> None:
    packed.write_bytes(b"#!/bin/sh\n" + packed.read_bytes())
    assert "no plain end record" in refusal(packed)


def test_a_target_that_exists(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ArtifactError, match="exists already"):
        unpack(Request(str(packed)), tmp_path / "there")
    with pytest.raises(ArtifactError, match="no such folder"):
        unpack(Request(str(packed)), tmp_path / "a" / "b")


def test_a_target_that_comes_meanwhile(packed: Path, tmp_path: Path) -> None:
    mine = tmp_path / "there" / "mine"

    def arrive(_: int) -> None:
        mine.parent.mkdir(exist_ok=True)
        mine.touch()

    with pytest.raises(ArtifactError, match="there: cannot be created: Directory not empty"):
        unpack(Request(str(packed), on_bytes=arrive), tmp_path / "there")
    assert mine.exists()
    assert not list(tmp_path.glob(".partial-*"))


def test_a_full_disk_leaves_nothing(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_reader, "sync", full)
    assert "cannot be written: No space left on device" in refusal(packed)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(data=st.data())
def test_damage_anywhere_is_told_in_one_line_or_harmless(
    packed: Path, contents: dict[str, bytes], data: st.DataObject
) -> None:
    """Up to four changed bytes: refused in one line, or the artifact is exactly what it was."""
    content = bytearray(packed.read_bytes())
    # Half of the time in the directory, where all the fields are.
    low = data.draw(st.sampled_from([0, len(content) - 180]))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(low, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    changed = packed.with_name("changed.edgepose")
    changed.write_bytes(content)
    out = packed.parent / "fuzzed"
    try:
        unpack(Request(str(changed)), out)
    except ArtifactError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert message.isprintable()
        assert not out.exists()
        return
    try:
        found = {path.name: path.read_bytes() for path in out.iterdir()}
        assert found.keys() == contents.keys()
        assert found["model.onnx"] == contents["model.onnx"]
        json.loads(found["manifest.json"])
    finally:
        shutil.rmtree(out)


def test_signature_first(packed: Path, need: Callable[[str], object], tmp_path: Path) -> None:
    """With trusted keys nothing of an unsigned package is parsed, not even its manifest."""
    need("cryptography")
    from edge_pose.signing_keys import make_keys

    _, key = make_keys(tmp_path / "maker.pem")
    craft(packed, [(member("manifest.json"), b"{")])
    assert "not signed" in refusal(packed, Trust((key,)))
    assert "not valid JSON" in refusal(packed)
