"""Where the peers' model files are: given, in a folder, or fetched from npm. None is shipped.

BlazePose is in the npm package `@mediapipe/pose`. The archive is compared with its pinned SHA-256
before it is unpacked, and every file with its own each time before a parser sees it.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers_models import BLAZEPOSE, MOVENET, Family
from edge_pose.errors import EdgePoseError
from edge_pose.user_folder import user_folder

PACKAGE = "@mediapipe/pose@0.5.1675469404"
PACKAGE_SHA256 = "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84"
LITE, FULL, HEAVY = (f"pose_landmark_{size}.tflite" for size in ("lite", "full", "heavy"))
BLAZEPOSE_NAMES = {LITE: "BlazePose Lite", FULL: "BlazePose Full", HEAVY: "BlazePose Heavy"}
BLAZEPOSE_SHA256 = {
    LITE: "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
    FULL: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    HEAVY: "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
}
MOVENET_FILE = "movenet_lightning_int8.tflite"
MOVENET_URL = "tfhub.dev/google/movenet/singlepose/lightning, TFLite int8"
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class PeerFile:
    """A model file whose content was read and, where its hash is pinned, checked.

    Attributes:
        name: for people.
        file: where it lies.
        model: its content.
        family: what its numbers mean.
        crop_factors: sides of the crops that it is measured with, see Person.region.
    """

    name: str
    file: Path
    model: bytes
    family: Family
    crop_factors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FoundPeers:
    """What is there.

    Attributes:
        files: to measure.
        notes: one line for each that is not there, or was refused, and why.
    """

    files: tuple[PeerFile, ...]
    notes: tuple[str, ...]


def find_peers(movenet: Path | None, folder: Path | None, *, fetch: bool) -> FoundPeers:
    """Look for the peers' files in a folder and in the user's cache, and read them.

    Args:
        movenet: MoveNet's file, where it is not in the folder.
        folder: with files of their original names.
        fetch: get what is missing from npm.

    Raises:
        EdgePoseError: `movenet` was given and cannot be read.
    """
    cache = user_folder("XDG_CACHE_HOME", ".cache", "peers")
    places = [place for place in (folder, cache) if place is not None]
    files: list[PeerFile] = []
    notes: list[str] = []
    if movenet := movenet or _first(places, MOVENET_FILE):
        # 1 suits MoveNet best and is how it was trained, 1.25 is everybody else's crop.
        files.append(
            PeerFile(_movenet_name(movenet), movenet, _read(movenet), MOVENET, (1.0, 1.25))
        )
    else:
        notes.append(f"MoveNet: no {MOVENET_FILE} here, give it as --movenet ({MOVENET_URL})")
    if fetch and cache is not None and not all(_intact(cache / n) for n in BLAZEPOSE_SHA256):
        try:
            fetch_blazepose(cache)
        except EdgePoseError as error:
            notes.append(str(error))
    if missing := [name for name in BLAZEPOSE_SHA256 if _first(places, name) is None]:
        how = "" if fetch else ", --fetch gets it with npm"
        notes.append(f"BlazePose: no {' and no '.join(missing)} here{how}")
    for name in BLAZEPOSE_SHA256:
        file = _first(places, name)
        try:
            if file is not None:
                files.append(_blazepose(file))
        except EdgePoseError as error:
            notes.append(str(error))
    return FoundPeers(tuple(files), tuple(notes))


def fetch_blazepose(cache: Path) -> None:
    """Fetch the package with npm, as this machine has it set up, and unpack the models.

    Raises:
        EdgePoseError: npm is missing or fails, or the package is not the pinned one.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = _npm_pack(Path(folder))
        data = _read(archive)
    _check(data, PACKAGE_SHA256, PACKAGE)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as members:
            for name, sha256 in BLAZEPOSE_SHA256.items():
                member = members.extractfile(f"package/{name}")
                model = member.read() if member else b""
                _check(model, sha256, f"{PACKAGE}: {name}")
                (cache / name).write_bytes(model)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise EdgePoseError(f"{cache}: {PACKAGE} cannot be unpacked there: {error}") from None


def _npm_pack(folder: Path) -> Path:
    command = ["npm", "pack", PACKAGE, "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - no shell; npm is found as the user finds it
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=folder
        )
    except OSError as error:
        raise EdgePoseError(
            f"npm: cannot be run: {error.strerror}: install Node.js, or put BlazePose's files"
            " into the folder of --peers"
        ) from None
    except subprocess.TimeoutExpired:
        raise EdgePoseError(f"npm: {PACKAGE} not fetched within {TIMEOUT_S:g} s") from None
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode or not archives:
        # Its own messages take several lines and may hold addresses.
        code = re.search(r"code (E\w+)", done.stderr)
        said = code[1] if code else f"exit code {done.returncode}"
        raise EdgePoseError(f"npm: cannot fetch {PACKAGE}: {said}")
    return archives[0]


def _blazepose(file: Path) -> PeerFile:
    model = _read(file)
    _check(model, BLAZEPOSE_SHA256[file.name], str(file))
    return PeerFile(BLAZEPOSE_NAMES[file.name], file, model, BLAZEPOSE, (1.25,))


def _movenet_name(file: Path) -> str:
    return "MoveNet Lightning int8" if file.name == MOVENET_FILE else file.stem


def _first(places: list[Path], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EdgePoseError(f"{file}: cannot be read: {error.strerror}") from None


def _intact(file: Path) -> bool:
    known = BLAZEPOSE_SHA256[file.name]
    return file.is_file() and hashlib.sha256(_read(file)).hexdigest() == known


def _check(data: bytes, sha256: str, where: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise EdgePoseError(
            f"{where}: refused: SHA-256 is {found[:12]}…, expected {sha256[:12]}…: it is damaged or"
            " another version"
        )
