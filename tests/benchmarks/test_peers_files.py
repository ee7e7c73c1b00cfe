"""Where peers' files come from; npm is a script of the test that hands an archive over."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import peers_files
from benchmarks.peers_files import BLAZEPOSE_SHA256, MOVENET_FILE, find_peers
from edge_pose.errors import EdgePoseError

Npm = Callable[[str], None]
MODELS = {name: name.encode() for name in BLAZEPOSE_SHA256}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edge_pose" / "peers"


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Npm:
    """Return a function that makes a script the only program there is, called npm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(script: str) -> None:
        file = folder / "npm"
        file.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        file.chmod(0o755)

    return write


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., tuple[str, bytes]]:
    """Return a function that packs models; it returns what npm shall do, and the archive."""

    def pack(models: dict[str, bytes]) -> tuple[str, bytes]:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, data in models.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        (tmp_path / "made.tgz").write_bytes(stream.getvalue())
        # npm pack PACKAGE --ignore-scripts --pack-destination FOLDER
        script = f'[ "$1 $3" = "pack --ignore-scripts" ] && /bin/cp "{tmp_path}/made.tgz" "$5/"'
        return script, stream.getvalue()

    return pack


def pin(monkeypatch: pytest.MonkeyPatch, archive: bytes, models: dict[str, bytes]) -> None:
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in models.items()}
    monkeypatch.setattr(peers_files, "BLAZEPOSE_SHA256", hashes)
    monkeypatch.setattr(peers_files, "PACKAGE_SHA256", hashlib.sha256(archive).hexdigest())


def test_nothing_is_fetched_unless_asked_for(npm: Npm, cache: Path) -> None:
    npm("exit 9")
    found = find_peers(None, None, fetch=False)
    assert found.files == ()
    assert len(found.notes) == 2
    assert found.notes[0].startswith(f"MoveNet: no {MOVENET_FILE} here, give it as --movenet")
    assert found.notes[1] == (
        "BlazePose: no pose_landmark_lite.tflite and no pose_landmark_full.tflite and no"
        " pose_landmark_heavy.tflite here, --fetch gets it with npm"
    )
    assert not cache.exists()


def test_fetched_files_are_kept(
    monkeypatch: pytest.MonkeyPatch,
    npm: Npm,
    package: Callable[..., tuple[str, bytes]],
    cache: Path,
) -> None:
    script, archive = package(MODELS)
    npm(script)
    pin(monkeypatch, archive, MODELS)
    found = find_peers(None, None, fetch=True)
    assert [file.name for file in found.files] == [
        "BlazePose Lite", "BlazePose Full", "BlazePose Heavy",
    ]  # fmt: skip
    assert [file.model for file in found.files] == list(MODELS.values())
    assert all(file.crop_factors == (1.25,) for file in found.files)
    npm("exit 9")  # from now on nothing is asked for again
    assert find_peers(None, None, fetch=True).files == found.files
    assert find_peers(None, None, fetch=False).files == found.files
    # What was changed since is refused, the others are used; fetching repairs it.
    (cache / "pose_landmark_full.tflite").write_bytes(b"something else")
    damaged = find_peers(None, None, fetch=False)
    assert [file.name for file in damaged.files] == ["BlazePose Lite", "BlazePose Heavy"]
    assert "pose_landmark_full.tflite: refused: SHA-256 is" in damaged.notes[1]
    npm(script)
    assert find_peers(None, None, fetch=True).files == found.files


def test_another_archive_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
    npm: Npm,
    package: Callable[..., tuple[str, bytes]],
    cache: Path,
) -> None:
    script, _ = package(MODELS)
    npm(script)
    monkeypatch.setattr(peers_files.tarfile, "open", lambda *_, **__: pytest.fail("unpacked"))
    found = find_peers(None, None, fetch=True)
    assert found.files == ()
    assert "@mediapipe/pose@0.5.1675469404: refused: SHA-256 is" in found.notes[1]
    assert not cache.exists()


def test_a_changed_model_in_the_archive_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    npm: Npm,
    package: Callable[..., tuple[str, bytes]],
    cache: Path,
) -> None:
    script, archive = package({**MODELS, "pose_landmark_lite.tflite": b"changed"})
    npm(script)
    pin(monkeypatch, archive, MODELS)
    found = find_peers(None, None, fetch=True)
    assert "pose_landmark_lite.tflite: refused: SHA-256 is" in found.notes[1]
    assert list(cache.iterdir()) == []


def test_an_archive_without_the_models(
    monkeypatch: pytest.MonkeyPatch, npm: Npm, package: Callable[..., tuple[str, bytes]]
) -> None:
    script, archive = package({"readme": b""})
    npm(script)
    pin(monkeypatch, archive, MODELS)
    assert "cannot be unpacked there" in find_peers(None, None, fetch=True).notes[1]


def test_npm_is_missing(npm: Npm) -> None:
    found = find_peers(None, None, fetch=True)
    assert found.notes[1] == (
        "npm: cannot be run: No such file or directory: install Node.js, or put BlazePose's files"
        " into the folder of --peers"
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; echo 'npm error http://u:p@h/' >&2; exit 1",
         "npm: cannot fetch @mediapipe/pose@0.5.1675469404: ENOTFOUND"),
        ("exit 3", "npm: cannot fetch @mediapipe/pose@0.5.1675469404: exit code 3"),
        ("exit 0", "npm: cannot fetch @mediapipe/pose@0.5.1675469404: exit code 0"),
    ],
)  # fmt: skip
def test_npm_fails(npm: Npm, script: str, says: str) -> None:
    npm(script)
    assert find_peers(None, None, fetch=True).notes[1] == says


def test_npm_does_not_end(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    npm("exec /bin/sleep 60")
    monkeypatch.setattr(peers_files, "TIMEOUT_S", 0.2)
    note = find_peers(None, None, fetch=True).notes[1]
    assert note == "npm: @mediapipe/pose@0.5.1675469404 not fetched within 0.2 s"


def test_movenet_is_given_or_in_the_folder(tmp_path: Path) -> None:
    other = tmp_path / "movenet_thunder.tflite"
    other.write_bytes(b"thunder")
    (tmp_path / MOVENET_FILE).write_bytes(b"lightning")
    given = find_peers(other, tmp_path, fetch=False).files
    assert [(file.name, file.model) for file in given] == [("movenet_thunder", b"thunder")]
    there = find_peers(None, tmp_path, fetch=False).files
    assert [(file.name, file.model) for file in there] == [("MoveNet Lightning int8", b"lightning")]
    assert there[0].crop_factors == (1.0, 1.25)
    with pytest.raises(EdgePoseError, match=r"absent\.tflite: cannot be read: No such file"):
        find_peers(tmp_path / "absent.tflite", None, fetch=False)
