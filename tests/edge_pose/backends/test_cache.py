"""Where compiled models go, and that no artifact meets another one's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import BACKENDS, open_backend
from edge_pose.backends.base import BackendOptions
from edge_pose.backends.cache import (
    FOLDER,
    SUMS,
    UNUSED_S,
    cache_key,
    cache_root,
    drop_damaged,
    drop_unused,
    seal,
)
from edge_pose.manifest import WeightsFile


@pytest.fixture
def artifact(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Artifact:
    need("openvino")
    return load_artifact(tiny_artifact)


def files(folder: Path) -> list[Path]:
    """Return what a runtime wrote."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)


def kept(folder: Path, time_s: float) -> Path:
    """Make a sealed cache folder that was used last at this time."""
    folder.mkdir()
    (folder / "model.blob").touch()
    seal(folder)
    os.utime(folder, (time_s, time_s))
    return folder


def test_a_setting_is_the_users_cache_a_folder_or_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_root(None) == tmp_path / "cache" / "edge_pose" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root(None) == tmp_path / ".cache" / "edge_pose" / "compiled"
    assert cache_root("off") is None
    assert cache_root(Path("off")) is None
    assert cache_root("~/compiled") == tmp_path / "compiled"


def test_whatever_changes_what_is_compiled_changes_the_key(artifact: Artifact) -> None:
    manifest = artifact.manifest
    usual = ("openvino", "2026.4.1", "CPU")
    other = manifest.file.model_copy(update={"sha256": "0" * 64})
    weights = WeightsFile(name="model.bin", sha256="1" * 64, size_bytes=4)
    with_weights = manifest.file.model_copy(update={"weights": weights})
    keys = [
        cache_key(manifest, *usual),
        cache_key(manifest, "openvino", "2026.4.2", "CPU"),
        cache_key(manifest, "openvino", "2026.4.1", "GPU"),
        cache_key(manifest, "onnxruntime", "2026.4.1", "CPU"),
        cache_key(manifest.model_copy(update={"file": other}), *usual),
        cache_key(manifest.model_copy(update={"file": with_weights}), *usual),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == cache_key(manifest, *usual)
    assert keys[0].startswith("openvino-2026.4.1-cpu-")
    strange = cache_key(manifest, "openvino", "1/../x", "AUTO:NPU,CPU")
    assert strange.startswith("openvino-1_.._x-auto_npu_cpu-")
    assert Path(strange).name == strange
    for backend in BACKENDS:  # each is cleared away when its time has come
        assert FOLDER.fullmatch(cache_key(manifest, backend, "", "CPU"))


def test_a_second_start_finds_what_the_first_one_compiled(
    artifact: Artifact, tmp_path: Path
) -> None:
    tensor = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    expected = open_backend(artifact, "openvino").run(tensor)[0]
    cache, compiled = tmp_path / "new" / "compiled", []
    for _ in range(2):
        with closing(open_backend(artifact, "openvino", cache=cache)) as backend:
            assert np.array_equal(backend.run(tensor)[0], expected)
        compiled.append(files(cache))
    assert compiled[0] == compiled[1]
    assert len(compiled[0]) == 1
    assert compiled[0][0].relative_to(cache).parts[0].startswith("openvino-")
    # One more model is one more folder; the first one's stays as it is.
    file = artifact.manifest.file.model_copy(update={"sha256": "0" * 64})
    other = replace(artifact, manifest=artifact.manifest.model_copy(update={"file": file}))
    open_backend(other, "openvino", cache=cache).close()
    assert len(files(cache)) == 2
    assert len({path.relative_to(cache).parts[0] for path in files(cache)}) == 2


def test_a_damaged_compiled_model_is_compiled_anew(
    artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensor = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    expected = open_backend(artifact, "openvino").run(tensor)[0]
    open_backend(artifact, "openvino", cache=tmp_path).close()
    (compiled,) = files(tmp_path)
    good = compiled.read_bytes()
    # The weights are near the end: with zeros there the runtime alone gives wrong heatmaps.
    weights = good.index(np.float32(1.25).tobytes())
    zeros = good[:weights] + bytes(4) + good[weights + 4 :]
    for damaged in (good[:200], b"", b"?" * 5000, zeros):
        compiled.write_bytes(damaged)
        with closing(open_backend(artifact, "openvino", cache=tmp_path)) as backend:
            assert np.array_equal(backend.run(tensor)[0], expected)
        assert caplog.messages == [f"compile cache {compiled}: was damaged, compiling anew"]
        caplog.clear()


def test_what_no_run_has_opened_for_long_is_deleted(artifact: Artifact, tmp_path: Path) -> None:
    now = time.time()
    old = now - UNUSED_S - 60
    gone = kept(tmp_path / f"openvino-2025.1-cpu-{'a' * 16}", old)
    recent = kept(tmp_path / f"openvino-2026.1-cpu-{'b' * 16}", now)
    not_ours = [kept(tmp_path / name, old) for name in ("pictures", f"serde-{'0' * 16}")]
    not_sealed = kept(tmp_path / f"openvino-maps-{'0' * 16}", old)
    (not_sealed / SUMS).unlink()
    os.utime(not_sealed, (old, old))
    open_backend(artifact, "openvino", cache=tmp_path).close()
    (used,) = set(tmp_path.iterdir()) - {gone, recent, not_sealed, *not_ours}
    os.utime(used, (old, old))
    open_backend(artifact, "openvino", cache=tmp_path).close()
    assert not gone.exists()
    assert all((folder / "model.blob").exists() for folder in (recent, not_sealed, *not_ours))
    assert (used / SUMS).exists()
    assert used.stat().st_mtime > old + 60  # opened, so it stays for as long again
    drop_unused(tmp_path / "none" / "there")


def test_a_folder_is_in_use_before_it_is_read(tmp_path: Path) -> None:
    long_ago = 1e9
    folder = kept(tmp_path / f"openvino-1-cpu-{'a' * 16}", long_ago)
    drop_damaged(folder)
    assert folder.stat().st_mtime > time.time() - 3600


def test_a_clock_that_is_behind_makes_nothing_old(tmp_path: Path) -> None:
    """A board without a clock chip starts years ago, and jumps when the network tells the time."""
    ahead = time.time() + 2 * UNUSED_S  # as seen by a clock that is as far behind
    door = kept(tmp_path / f"openvino-1-cpu-{'a' * 16}", ahead - 60)
    hall = kept(tmp_path / f"openvino-1-cpu-{'b' * 16}", ahead)
    drop_damaged(door)
    drop_unused(door)
    assert door.stat().st_mtime == pytest.approx(ahead, abs=1)
    later = kept(tmp_path / f"openvino-1-cpu-{'c' * 16}", ahead + 60)
    drop_unused(later)
    assert door.exists()
    assert hall.exists()


def test_a_cache_that_cannot_be_written_costs_a_warning(
    artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    open_backend(artifact, "openvino", cache=in_the_way).close()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"compile cache {in_the_way}")
    assert "cannot be written: Not a directory" in record.getMessage()


def test_the_folder_is_the_users_own(tmp_path: Path) -> None:
    folder = BackendOptions(cache=tmp_path / "a" / "b").cache_folder()
    assert folder == tmp_path / "a" / "b"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert BackendOptions().cache_folder() is None


def test_what_cannot_be_checked_or_sealed_is_said_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drop_damaged(tmp_path / "none")
    seal(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert caplog.messages == []
    (tmp_path / SUMS).write_bytes(b"\xff\xfe")
    drop_damaged(tmp_path)
    assert caplog.messages[0].startswith(f"compile cache {tmp_path}: cannot be checked: ")
    (tmp_path / SUMS).write_text("no hash at all\n")
    drop_damaged(tmp_path)
    assert len(caplog.messages) == 2
    (tmp_path / SUMS).unlink()
    (tmp_path / SUMS).mkdir()
    (tmp_path / "compiled.blob").write_bytes(b"1")
    seal(tmp_path)
    assert caplog.messages[2].startswith(f"compile cache {tmp_path}: cannot be sealed: ")
    assert (tmp_path / "compiled.blob").read_bytes() == b"1"
