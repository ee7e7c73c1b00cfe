"""What select chooses among, and why something is not among it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from converters import candidates as module
from converters.candidates import Shortlist
from converters.matrix import build_matrix
from converters.steps import LOGGED
from edge_pose.errors import ArtifactError
from edge_pose.profile import load_profile
from edge_pose.signature import sign_artifact
from edge_pose.signing_keys import make_keys

DEVICE = load_profile("generic_x86_64")
Make = Callable[..., Path]


@pytest.fixture
def folder_of(tiny_artifact: Path, tmp_path: Path) -> Make:
    """Return a function that copies the tiny artifact and changes the gate's report."""

    def make(name: str, **gate: object) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny_artifact, folder)
        edit(folder, **gate)
        return folder

    return make


def edit(folder: Path, **gate: object) -> None:
    file = folder / "manifest.json"
    values = json.loads(file.read_text("utf-8"))
    values["gate"] |= gate
    file.write_text(json.dumps(values), "utf-8")


def load(*folders: Path) -> Shortlist:
    found = Shortlist()
    for folder in folders:
        found.load(str(folder))
    return found


def refusal(found: Shortlist) -> str:
    ((name, reason),) = found.refused
    assert "\n" not in reason
    assert reason
    return f"{Path(name).name}: {reason}"


def test_every_runtime_is_a_candidate_and_the_profiles_has_its_device(folder_of: Make) -> None:
    found = load(folder_of("a")).candidates(DEVICE)
    assert {c.name for c in found} == {"blobs_fp32 on onnxruntime", "blobs_fp32 on openvino"}
    on = {c.backend: c.device for c in found}
    assert on[DEVICE.runtime.backend] == DEVICE.runtime.device


def test_two_of_one_name_are_told_apart(folder_of: Make) -> None:
    a, b = folder_of("a"), folder_of("b")
    names = {candidate.name for candidate in load(a, b).candidates(DEVICE)}
    assert {f"blobs_fp32 ({a}) on onnxruntime", f"blobs_fp32 ({b}) on onnxruntime"} <= names
    assert len(names) == 4


def test_an_altered_one_is_refused_and_the_others_stay(folder_of: Make) -> None:
    altered, sound = folder_of("altered"), folder_of("sound")
    with (altered / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    found = load(altered, sound)
    assert "altered: " in refusal(found)
    assert "the file was damaged or changed" in refusal(found)
    assert len(found.candidates(DEVICE)) == 2


def test_one_that_failed_its_gate_is_refused(folder_of: Make) -> None:
    assert "failed its accuracy gate" in refusal(load(folder_of("poor", passed=False)))


def test_one_that_was_edited_after_it_was_signed_is_refused(
    folder_of: Make, tmp_path: Path
) -> None:
    folder = folder_of("signed")
    make_keys(tmp_path / "key.pem")
    sign_artifact(folder, tmp_path / "key.pem")
    assert load(folder).refused == []
    edit(folder, artifact_accuracy=100.0)
    found = load(folder)
    assert "signed: " in refusal(found)
    assert "the manifest was changed after it was signed" in refusal(found)
    assert found.candidates(DEVICE) == []


def test_a_name_that_nothing_has_ends_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neither a shipped model nor a folder"):
        Shortlist().load(str(tmp_path / "nothing"))


def test_a_format_that_nothing_here_reads(folder_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda _: False)
    found = load(folder_of("a"))
    assert found.candidates(DEVICE) == []
    assert "onnx is read by onnxruntime or openvino, which is not installed" in refusal(found)


def test_a_checkpoint_becomes_candidates_and_reasons(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without training pictures 8 bits cannot be calibrated; the rest goes on."""
    keys = (("onnx", "fp32"), ("onnx", "int8"))
    monkeypatch.setattr("converters.matrix.build_matrix", partial(build_matrix, keys=keys))
    found = Shortlist()
    found.convert([checkpoint], None, LOGGED, generated=False, n_images=32, seed=1, ladder=False)
    assert "tiny onnx int8: error: calibration: no training pictures" in refusal(found)
    ((word, artifact),) = found.artifacts
    assert (word, artifact.manifest.name) == (str(checkpoint), "tiny_fp32")
    assert {candidate.label for candidate in found.candidates(DEVICE)} == {"tiny_fp32"}
