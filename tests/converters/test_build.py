from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converters.build import build
from converters.data import ConversionData
from converters.job import Job
from converters.ladder import GateError
from converters.settings import Settings
from converters.steps import Steps
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import open_backend
from edge_pose.errors import ArtifactError, EdgePoseError, UsageError
from edge_pose.types import FloatArray
from training.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    sha256_file,
)
from training.evaluate import ArtifactPredictor, NetworkPredictor, predict
from training.registry import get_model

INT8 = Settings("int8", n_images=32)


@pytest.fixture(scope="module")
def built(
    checkpoint: Path, drawn: ConversionData, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("built")
    return {
        precision: build(checkpoint, folder / precision, drawn, replace(INT8, precision=precision))
        for precision in ("fp32", "int8")
    }


def keypoints(artifact: Artifact, drawn: ConversionData) -> FloatArray:
    with closing(open_backend(artifact)) as backend:
        predictor = ArtifactPredictor(artifact, backend)
        found = predict(predictor, drawn.gate.persons[:8], flip_test=False)
        return np.stack([points for _, points, _ in found])


def test_fp32_gives_the_checkpoints_keypoints(
    built: dict[str, Artifact], checkpoint: Path, drawn: ConversionData
) -> None:
    predictor = NetworkPredictor(*load_checkpoint(checkpoint), torch.device("cpu"))
    found = predict(predictor, drawn.gate.persons[:8], flip_test=False)
    expected = np.stack([points for _, points, _ in found])
    artifact = load_artifact(built["fp32"].folder)
    np.testing.assert_allclose(keypoints(artifact, drawn), expected, atol=0.01)


def test_int8_loads_runs_and_says_where_it_comes_from(
    built: dict[str, Artifact], checkpoint: Path, drawn: ConversionData
) -> None:
    artifact = load_artifact(built["int8"].folder)
    assert artifact.manifest == built["int8"].manifest
    assert np.isfinite(keypoints(artifact, drawn)).all()
    manifest = artifact.manifest
    assert manifest.name == "tiny_int8"
    assert (manifest.file.format, manifest.file.backend) == ("onnx", "onnxruntime")
    assert manifest.origin.checkpoint_sha256 == sha256_file(checkpoint)
    assert manifest.origin.recipe == {"seed": 3}
    assert manifest.origin.trained_on == {"mpii": "8A=="}
    assert manifest.origin.params == sum(
        p.numel() for p in load_checkpoint(checkpoint)[0].parameters()
    )
    assert manifest.origin.macs == 24 * 75 * 32**2 + 24 * 25 * 16**2 + 16 * 24 * 9 * 16**2
    assert manifest.tools.keys() == {"torch", "onnx", "onnxscript", "onnxruntime"}
    assert manifest.calibration is not None
    assert (manifest.calibration.dataset, manifest.calibration.n_images) == ("generated", 32)
    assert manifest.gate is not None
    assert (manifest.gate.passed, manifest.gate.n_persons) == (True, 120)
    assert manifest.gate.drift_p95_px > 0
    assert built["fp32"].manifest.calibration is None


def test_the_same_bytes_on_every_run(
    built: dict[str, Artifact], checkpoint: Path, drawn: ConversionData, tmp_path: Path
) -> None:
    build(checkpoint, tmp_path / "again", drawn, INT8)
    for name in ("manifest.json", "model.onnx"):
        first = (built["int8"].folder / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == first


def test_a_missed_limit_is_refused_unless_forced(
    checkpoint: Path,
    drawn: ConversionData,
    tmp_path: Path,
    leftovers: Callable[[], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No 8-bit network moves its keypoints by nothing at all."""
    strict = replace(INT8, limit_drift_px=0.0, ladder=False)
    with pytest.raises(GateError, match="tiny_int8: gate failed") as caught:
        build(checkpoint, tmp_path / "bad", drawn, strict)
    assert "nothing was written" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert leftovers() == []
    with caplog.at_level(logging.WARNING):
        build(checkpoint, tmp_path / "bad", drawn, replace(strict, force=True))
    assert "--trust-ungated" in caplog.text
    with pytest.raises(ArtifactError, match="failed its accuracy gate"):
        load_artifact(tmp_path / "bad")
    trusted = load_artifact(tmp_path / "bad", trust_ungated=True)
    assert trusted.manifest.gate is not None
    assert not trusted.manifest.gate.passed
    assert not any(attempt.passed for attempt in trusted.manifest.attempts)


def test_no_pictures_to_calibrate_with(
    checkpoint: Path, no_pictures: ConversionData, tmp_path: Path
) -> None:
    with pytest.raises(EdgePoseError, match="calibration: no training pictures, give --data"):
        build(checkpoint, tmp_path / "new", no_pictures, INT8)


def test_checkpoints_that_are_none(
    checkpoint_of: Callable[[str], Path], drawn: ConversionData, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"PK\x03\x04" * 100)
    cases = {
        tmp_path / "nowhere.safetensors": "no such checkpoint",
        junk: "not a safetensors file",
        checkpoint_of("hourglass_lite_s"): "weights do not fit model hourglass_lite_s",
    }
    for path, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            build(path, tmp_path / "new", drawn, INT8)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_that_is_replaced_meanwhile(
    checkpoint: Path,
    checkpoint_of: Callable[[str], Path],
    drawn: ConversionData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = Path(shutil.copy(checkpoint, tmp_path / "live.safetensors"))

    def load_and_replace(path: Path) -> Any:
        loaded = load_checkpoint(path)
        shutil.copy(checkpoint_of("tiny_means"), live)
        return loaded

    monkeypatch.setattr("converters.job.load_checkpoint", load_and_replace)
    with pytest.raises(EdgePoseError, match="was replaced while it was read"):
        build(live, tmp_path / "new", drawn, INT8)
    assert not (tmp_path / "new").exists()


def test_unknown_precision_and_foreign_folder(
    checkpoint: Path, drawn: ConversionData, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="converter 'onnx int4': unknown, did you mean"):
        build(checkpoint, tmp_path / "new", drawn, Settings("int4"))
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ArtifactError, match="not an artifact's folder"):
        build(checkpoint, tmp_path, drawn, INT8)


def test_pictures_are_drawn_once_for_all_tries(checkpoint: Path, drawn: ConversionData) -> None:
    said: list[str] = []
    counted: list[tuple[int, int]] = []
    steps = Steps(said.append, tick=lambda *step: counted.append(step))
    job = Job(checkpoint, drawn, steps=steps)
    assert job.calibration(16) is job.calibration(16)
    assert len(job.calibration(32).crops) == 32
    assert said == [f"drawing {n} calibration pictures from generated" for n in (16, 32)]
    assert counted == [(done, n) for n in (16, 32) for done in range(n + 1)]
    counted.clear()
    assert job.yardstick is job.yardstick
    cut, seen = list(range(120)), list(range(121))
    assert counted == [(done, 120) for done in cut + seen]


def test_how_many_pictures_there_are(
    checkpoint: Path, drawn: ConversionData, tmp_path: Path
) -> None:
    """One per person for networks that see one, else one for all that are in it."""
    persons = drawn.calibration.persons
    pairs = [replace(p, image=persons[i // 2].image) for i, p in enumerate(persons)]
    data = replace(drawn, calibration=replace(drawn.calibration, persons=tuple(pairs)))
    assert Job(checkpoint, data).n_calibration == 32
    model = get_model("center_hourglass_s")
    path = tmp_path / "detector.safetensors"
    info = CheckpointInfo(model.name, model.heatmap_kind, (64, 64))
    save_checkpoint(path, model.build().state_dict(), info)
    assert Job(path, data).n_calibration == 16
