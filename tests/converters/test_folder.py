from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from converters import folder as module
from converters.folder import (
    check_file,
    check_target,
    copy_artifact,
    write_artifact,
    write_file,
)
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.errors import ArtifactError, EdgePoseError
from edge_pose.manifest import WeightsFile

Leftovers = Callable[[], list[str]]


@pytest.fixture
def artifact(tiny_artifact: Path, tmp_path: Path) -> Artifact:
    """One that is not on disk yet: tmp_path/new."""
    return replace(load_artifact(tiny_artifact), folder=tmp_path / "new")


def test_written_artifact_loads(artifact: Artifact, leftovers: Leftovers) -> None:
    check_target(artifact.folder)
    write_artifact(artifact)
    loaded = load_artifact(artifact.folder)
    assert (loaded.manifest, loaded.model) == (artifact.manifest, artifact.model)
    assert leftovers() == ["new"]


def test_a_file_of_weights_is_written_too(artifact: Artifact) -> None:
    weights = b"weights"
    entry = WeightsFile(
        name="model.bin", sha256=hashlib.sha256(weights).hexdigest(), size_bytes=len(weights)
    )
    manifest = artifact.manifest.model_copy(
        update={"file": artifact.manifest.file.model_copy(update={"weights": entry})}
    )
    write_artifact(replace(artifact, manifest=manifest, weights=weights))
    assert load_artifact(artifact.folder).weights == weights


def test_parents_are_made(artifact: Artifact, tmp_path: Path) -> None:
    write_artifact(replace(artifact, folder=tmp_path / "a" / "b"))
    assert load_artifact(tmp_path / "a" / "b").model == artifact.model


def test_parents_go_where_nothing_could_be_written(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_manifest", fail)
    with pytest.raises(ArtifactError, match="No space left on device"):
        write_artifact(replace(artifact, folder=tmp_path / "a" / "b" / "c"))
    assert leftovers() == []
    (tmp_path / "a").mkdir()
    with pytest.raises(ArtifactError, match="No space left on device"):
        write_artifact(replace(artifact, folder=tmp_path / "a" / "b" / "c"))
    assert [path.name for path in tmp_path.rglob("*")] == ["a"], "what was there stays"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, leftovers: Leftovers) -> None:
    file = tmp_path / "scales.cache"
    write_file(file, b"old")
    write_file(file, b"new")
    assert (file.read_bytes(), leftovers()) == (b"new", ["scales.cache"])
    with pytest.raises(EdgePoseError, match="below: cannot be written: "):
        write_file(file / "below", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EdgePoseError, match="folder: cannot be written: Is a directory"):
        write_file(tmp_path / "folder", b"x")
    assert leftovers() == ["folder", "scales.cache"]


def test_folders_above_a_file_go_where_it_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    write_file(tmp_path / "a" / "x", b"x")
    full = fail_with(OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgePoseError, match="y: cannot be written: No space left on device"):
        write_file(tmp_path / "a" / "b" / "c" / "y", b"y")
    assert leftovers() == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]


def test_devices_and_pipes_are_written_to_and_links_stay(tmp_path: Path) -> None:
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    check_file(pipe)
    write_file(pipe, b"page")
    reader.join(timeout=10)
    assert read == [b"page"]
    assert pipe.is_fifo()
    link.symlink_to(os.devnull)
    check_file(link)
    write_file(link, b"page")
    assert link.is_char_device()
    file.write_bytes(b"old")
    other = tmp_path / "other"
    other.symlink_to(file)
    write_file(other, b"new")
    assert (other.is_symlink(), file.read_bytes()) == (True, b"new")


def test_standard_output_is_a_file_to_write_to() -> None:
    code = "from pathlib import Path; from converters import folder as f; o = Path('/dev/stdout');"
    code += "f.check_file(o); f.write_file(o, b'page')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"page"


def test_a_folder_is_no_file_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path, Path()):
        with pytest.raises(ArtifactError, match=": is a folder, expected a file"):
            check_file(place)
    with pytest.raises(ArtifactError, match="x: is below a file"):
        check_file(tmp_path / "file" / "x")
    with pytest.raises(ArtifactError, match="cannot be written: File name too long"):
        check_file(tmp_path / ("x" * 300))
    check_file(tmp_path / "file")
    check_file(tmp_path / "new" / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_was_changed_after_it_was_measured_is_not_copied(
    artifact: Artifact, tmp_path: Path
) -> None:
    write_artifact(artifact)
    copy_artifact(artifact, tmp_path / "copy")
    assert load_artifact(tmp_path / "copy").model == artifact.model
    manifest = artifact.manifest.model_copy(update={"name": "second"})
    write_artifact(replace(artifact, manifest=manifest))
    with pytest.raises(ArtifactError, match="new: was changed meanwhile, run again"):
        copy_artifact(artifact, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_artifact_is_replaced(artifact: Artifact, leftovers: Leftovers) -> None:
    write_artifact(artifact)
    check_target(artifact.folder)
    manifest = artifact.manifest.model_copy(update={"name": "second"})
    write_artifact(replace(artifact, manifest=manifest))
    assert load_artifact(artifact.folder).manifest.name == "second"
    assert leftovers() == ["new"]


def test_an_empty_folder_is_used(artifact: Artifact, leftovers: Leftovers) -> None:
    artifact.folder.mkdir()
    check_target(artifact.folder)
    write_artifact(artifact)
    load_artifact(artifact.folder)
    assert leftovers() == ["new"]


def test_what_belongs_to_an_artifact_may_be_replaced(artifact: Artifact) -> None:
    """Its signature and what a device compiled from it, too."""
    write_artifact(artifact)
    for name in ("manifest.json.sig", "model_fp16.engine", "model_fp16.engine.json"):
        (artifact.folder / name).touch()
    check_target(artifact.folder)
    (artifact.folder / artifact.manifest.file.name).unlink()  # half an artifact is one, too
    write_artifact(artifact)
    assert load_artifact(artifact.folder).model == artifact.model


def test_weights_are_the_artifacts_own(artifact: Artifact) -> None:
    weights = WeightsFile(name="model.bin", sha256="ab" * 32, size_bytes=1)
    file = artifact.manifest.file.model_copy(update={"weights": weights})
    manifest = artifact.manifest.model_copy(update={"file": file})
    write_artifact(replace(artifact, manifest=manifest, weights=b"x"))
    check_target(artifact.folder)


@pytest.mark.parametrize("name", ["other.onnx", "model.bin", "thesis.txt", "sig"])
def test_what_the_manifest_does_not_name_is_somebody_elses(artifact: Artifact, name: str) -> None:
    write_artifact(artifact)
    (artifact.folder / name).write_text("mine")
    with pytest.raises(ArtifactError, match=f"not an artifact's folder \\({name} in it"):
        write_artifact(replace(artifact, model=b"new"))
    assert (artifact.folder / name).read_text() == "mine"
    assert load_artifact(artifact.folder).model == artifact.model


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.tex"],
        ["model.onnx"],
        ["manifest.json.sig"],
        ["manifest.json"],
        ["manifest.json", "model.onnx"],
    ],
)
def test_other_folders_are_left_alone(artifact: Artifact, names: list[str]) -> None:
    artifact.folder.mkdir()
    for name in names:
        (artifact.folder / name).write_text("mine")
    for refuse in (lambda: check_target(artifact.folder), lambda: write_artifact(artifact)):
        with pytest.raises(ArtifactError, match="not an artifact's folder") as caught:
            refuse()
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in artifact.folder.iterdir()) == names
    assert {(artifact.folder / name).read_text() for name in names} == {"mine"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "new", tmp_path / "file" / "a" / "b"):
        with pytest.raises(ArtifactError, match="is a file or below one"):
            check_target(path)
    with pytest.raises(ArtifactError, match="cannot be read: File name too long"):
        check_target(tmp_path / ("x" * 300))


def fail_with(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("place", ["write_bytes", "write_manifest", "rename"])
def test_full_disk_leaves_what_was_there(
    artifact: Artifact, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    write_artifact(artifact)
    full = fail_with(OSError(errno.ENOSPC, "No space left on device"))
    with monkeypatch.context() as patch:
        owner = module if place == "write_manifest" else Path
        patch.setattr(owner, place, full)
        with pytest.raises(ArtifactError, match="cannot be written: No space left on device"):
            write_artifact(replace(artifact, model=b"other"))
    assert leftovers() == ["new"]
    assert load_artifact(artifact.folder).model == artifact.model


def test_interrupt_leaves_nothing(
    artifact: Artifact, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "write_manifest", fail_with(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_artifact(artifact)
    assert leftovers() == []


def test_second_rename_fails_and_the_first_is_undone(
    artifact: Artifact, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_artifact(artifact)
    rename = Path.rename

    def picky(path: Path, target: Path) -> Path:
        if ".partial-" in path.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", picky)
    with pytest.raises(ArtifactError, match="Input/output error"):
        write_artifact(artifact)
    load_artifact(artifact.folder)
    assert leftovers() == ["new"]


def test_place_that_cannot_be_written(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="is a file or below one"):
        write_artifact(replace(artifact, folder=tmp_path / "file" / "new"))
    check_target(tmp_path / "a" / "b" / "new")
    assert leftovers() == ["file"], "asking leaves nothing"
    read_only = fail_with(OSError(errno.EROFS, "Read-only file system"))
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(ArtifactError, match="new: cannot be written: Read-only file system"):
        check_target(tmp_path / "a" / "b" / "new")


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_swept(artifact: Artifact, leftovers: Leftovers) -> None:
    dead, alive = dead_process(), os.getppid()
    numbers = (dead, alive, os.getpid())
    for number in numbers:
        for name in (f".new.partial-{number}", f".new.old-{number}"):
            (artifact.folder.parent / name).mkdir()
            (artifact.folder.parent / name / "model.onnx").touch()
    (artifact.folder.parent / f".news.partial-{dead}").mkdir()
    write_artifact(artifact)
    write_artifact(artifact)  # the old one is superseded by the first
    kept = [f".new.old-{alive}", f".new.partial-{alive}", f".news.partial-{dead}", "new"]
    assert leftovers() == sorted(kept)
