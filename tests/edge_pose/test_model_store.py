"""The local registry: all or nothing, found by name."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import edge_pose
from edge_pose.artifact import artifact_folder, load_artifact
from edge_pose.errors import ArtifactError, EdgePoseError, UsageError
from edge_pose.model_pull import Pulled, Request, pull
from edge_pose.model_store import entries, find, need_store, remove, store_folder
from edge_pose.models import DEFAULT
from edge_pose.package import pack
from edge_pose.package_reader import Trust

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty registry of this test's own; no proxy."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "data" / "edge_pose" / "models"


@pytest.fixture
def packed(tiny_artifact: Path, tmp_path: Path) -> Path:
    out = tmp_path / "blobs.edgepose"
    pack(tiny_artifact, out)
    return out


def take(source: object, name: str | None = None, **options: Any) -> Pulled:
    return pull(Request(str(source), **options), name)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def refusal(call: Callable[[], object], error: type[EdgePoseError] = ArtifactError) -> str:
    """Return the one line of the refusal; nothing is left in the registry."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert contents() == []
    return message


def contents() -> list[str]:
    store = store_folder()
    assert store is not None
    return sorted(p.name for p in store.iterdir() if p.name != ".lock") if store.exists() else []


def test_a_pulled_artifact_is_found_by_its_name(packed: Path, store: Path) -> None:
    pulled = take(packed)
    assert pulled.new
    folder = store / f"blobs_fp32-{pulled.entry.id}"
    assert pulled.entry.folder == folder == artifact_folder("blobs_fp32")
    assert artifact_folder(pulled.entry.full_name) == folder
    with edge_pose.load("blobs_fp32") as estimator:
        estimator.warm_up()
        assert estimator.manifest.name == "blobs_fp32"
    assert contents() == [folder.name]


def test_a_second_time_changes_nothing(packed: Path) -> None:
    first = take(packed)
    before = first.entry.folder.stat()
    second = take(packed)
    assert (second.new, second.entry) == (False, first.entry)
    assert first.entry.folder.stat() == before


def test_a_damaged_copy_is_pulled_anew(packed: Path) -> None:
    folder = take(packed).entry.folder
    (folder / "model.onnx").write_bytes(b"damaged")
    assert take(packed).new
    load_artifact(folder)
    (folder / "manifest.json").unlink()
    assert take(packed).new
    load_artifact(folder)
    assert contents() == [folder.name]


def test_a_signature_is_added_to_what_is_there(
    packed: Path, artifact_copy: Any, need: Callable[[str], object], tmp_path: Path
) -> None:
    need("cryptography")
    from edge_pose.signature import sign_artifact
    from edge_pose.signing_keys import make_keys

    public, key = make_keys(tmp_path / "maker.pem")
    take(packed)
    with pytest.raises(ArtifactError, match="not signed"):
        take(packed, trust=Trust((key,)))
    sign_artifact(artifact_copy.folder, tmp_path / "maker.pem")
    pack(artifact_copy.folder, packed)
    pulled = take(packed, trust=Trust((key,)))
    assert (pulled.new, pulled.signer) == (True, key.key_id)
    load_artifact("blobs_fp32", trusted_keys=[public])
    assert len(contents()) == 1


def test_another_name(packed: Path) -> None:
    pulled = take(packed, "door")
    assert find("door") == pulled.entry
    assert find("blobs_fp32") is None
    assert load_artifact("door").manifest.name == "blobs_fp32"


@pytest.mark.parametrize("name", ["default", "../up", "a/b", "", ".hidden", "x" * 65, "a b", "-x"])
def test_names_that_cannot_be(packed: Path, name: str) -> None:
    message = refusal(lambda: take(packed, name))
    assert "cannot be kept under the name" in message


def test_a_manifest_with_a_name_that_cannot_be(artifact_copy: Any, tmp_path: Path) -> None:
    artifact_copy.set("name", "../../a name")
    out = tmp_path / "x.edgepose"
    pack(artifact_copy.folder, out)
    assert "give --name" in refusal(lambda: take(out))
    take(out, "fine")


def test_names_that_are_not_unique(packed: Path, artifact_copy: Any, tmp_path: Path) -> None:
    take(packed)
    artifact_copy.set("created_by", "somebody else")
    other = tmp_path / "other.edgepose"
    pack(artifact_copy.folder, other)
    take(other)
    with pytest.raises(ArtifactError) as caught:
        load_artifact("blobs_fp32")
    names = [entry.full_name for entry in entries() if entry.name == "blobs_fp32"]
    assert len(names) == 2
    assert f"2 have this name, choose of: {', '.join(names)}" in str(caught.value)
    for name in names:
        load_artifact(name)


def test_the_name_of_a_shipped_one(packed: Path) -> None:
    take(packed, DEFAULT)
    with pytest.raises(ArtifactError, match=r"\(shipped\)"):
        load_artifact(DEFAULT)
    assert load_artifact("default").manifest.name == DEFAULT
    shipped = next(entry for entry in entries() if entry.shipped and entry.name == DEFAULT)
    assert find(shipped.full_name) == shipped


def test_a_pulled_copy_of_a_shipped_one(tmp_path: Path) -> None:
    pack(artifact_folder(DEFAULT), tmp_path / "x.edgepose")
    pulled = take(tmp_path / "x.edgepose")
    assert find(DEFAULT) == pulled.entry  # the same but for its signature, so not ambiguous
    remove(DEFAULT)
    with pytest.raises(ArtifactError, match="came with edge_pose"):
        remove(DEFAULT)


def test_remove(packed: Path) -> None:
    pulled = take(packed)
    assert remove("blobs_fp32") == pulled.entry
    assert contents() == []
    assert "(there: none)" in refusal(lambda: remove("blobs_fp32"))
    take(packed)
    with pytest.raises(ArtifactError, match="did you mean 'blobs_fp32'"):
        remove("blob_fp32")
    with pytest.raises(ArtifactError, match="came with edge_pose"):
        remove("default")


def test_what_is_there_is_named_where_a_name_is_wrong(packed: Path, tmp_path: Path) -> None:
    take(packed)
    with pytest.raises(ArtifactError, match="did you mean 'blobs_fp32'"):
        load_artifact("blobs_fp23")
    with pytest.raises(ArtifactError, match="edge-pose model pull"):
        load_artifact(packed)


def test_a_user_without_a_home(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setattr(Path, "home", homeless)
    load_artifact("default")
    assert all(entry.shipped for entry in entries())
    with pytest.raises(ArtifactError, match="set XDG_DATA_HOME"):
        take(packed)


def test_a_registry_that_cannot_be_made(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(ArtifactError, match="cannot be created: Not a directory"):
        take(packed)
    assert all(entry.shipped for entry in entries())


@pytest.mark.parametrize("source", ["nowhere.edgepose", ".", "/dev/null"])
def test_files_that_are_no_packages(source: str) -> None:
    assert source in refusal(lambda: take(source))


def test_the_hash_of_the_package(packed: Path) -> None:
    take(packed, sha256=sha256(packed).upper())
    remove("blobs_fp32")
    message = refusal(lambda: take(packed, sha256="ab" * 32))
    assert f"SHA-256 is {sha256(packed)[:12]}…, expected abababababab…" in message
    message = refusal(lambda: take(packed, sha256="xyz"), UsageError)
    assert "expected 64 hexadecimal digits" in message


# --- killed, full, at the same time ---


def run_python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


def test_a_kill_in_the_middle_leaves_nothing_that_counts(packed: Path, store: Path) -> None:
    done = run_python(
        "import os, signal\n"
        "from edge_pose import package_reader\n"
        "from edge_pose.model_pull import Request, pull\n"
        "package_reader.sync = lambda stream: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"pull(Request({str(packed)!r}))"
    )
    assert done.returncode == -9
    left = contents()
    assert len(left) == 1
    assert left[0].startswith(".partial-")
    assert find("blobs_fp32") is None
    pulled = take(packed)
    assert contents() == [pulled.entry.folder.name]


def test_a_full_disk(packed: Path) -> None:
    """A limit on the size of files stands for it: the system call fails in the same place."""
    done = run_python(
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"sys.argv = ['edge-pose', 'model', 'pull', {str(packed)!r}]\n"
        "from edge_pose.cli import main\n"
        "main()"
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written: File too large" in done.stderr
    assert contents() == []


def test_a_disk_that_fills_up_while_unpacking(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_pose.package_reader.sync", full)
    assert "cannot be written: No space left" in refusal(lambda: take(packed))


def test_several_at_the_same_time(packed: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        pulled = list(pool.map(take, [packed] * 8))
    assert [p.new for p in pulled].count(True) == 1
    assert contents() == [pulled[0].entry.folder.name]
    load_artifact("blobs_fp32")


def test_what_else_lies_in_the_registry_is_left_alone(packed: Path) -> None:
    store = need_store()
    (store / "notes.txt").write_text("mine")
    (store / "folder").mkdir()
    take(packed)
    remove("blobs_fp32")
    assert contents() == ["folder", "notes.txt"]
    shutil.rmtree(store)


def test_where_the_system_has_no_locks(
    packed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on Windows: artifacts are read, and the registry is changed with a warning."""
    code = (
        "import sys\nsys.modules['fcntl'] = None\n"
        "from edge_pose.artifact import load_artifact\n"
        "print(load_artifact('default').manifest.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert (done.stdout.strip(), done.stderr) == (DEFAULT, "")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert pull(Request(str(packed), Trust())).new
    assert "no locks on this system" in caplog.text
