from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from converters import folder as module
from converters.folder import check_target, write_artifact
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.errors import ArtifactError
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


@pytest.mark.parametrize(
    "names",
    [
        ["manifest.json"],
        ["manifest.json", "model.onnx"],
        ["manifest.json", "manifest.json.sig", "model.tflite"],
        ["manifest.json", "model.bin", "model.xml"],
        ["manifest.json", "model.onnx", "model_fp16.engine", "model_fp16.engine.json"],
    ],
)
def test_artifacts_of_all_formats_may_be_replaced(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    check_target(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.tex"],
        ["model.onnx"],
        ["manifest.json.sig"],
        ["manifest.json", "notes"],
        ["manifest.json", "sig"],
    ],
)
def test_other_folders_are_left_alone(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(ArtifactError, match="not an artifact's folder") as caught:
        check_target(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="is a file"):
        check_target(tmp_path / "file")
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


def test_place_that_cannot_be_written(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot be written: Not a directory"):
        write_artifact(replace(artifact, folder=tmp_path / "file" / "new"))
