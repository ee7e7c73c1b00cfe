"""Artifacts whose graph decodes give the keypoints that the device's decoder gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from converters import torch_onnx
from converters.base import Options
from converters.data import ConversionData
from converters.export_graph import Fold
from converters.gates import Limits, open_yardstick
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.errors import UsageError
from edge_pose.estimator import Estimator
from training.checkpoint import load_checkpoint, sha256_file
from training.evaluate import ArtifactPredictor, predict_crops
from training.samples import read_image


@pytest.fixture(scope="module")
def convert(checkpoint: Path) -> Callable[[Fold], Artifact]:
    def run(fold: Fold) -> Artifact:
        model, info = load_checkpoint(checkpoint)
        made = torch_onnx.convert(model, info, None, Options(fold=fold))
        manifest = describe(model, info, sha256_file(checkpoint), made, None)
        return Artifact(Path(), manifest, made.model)

    return run


@pytest.fixture(scope="module")
def plain(convert: Callable[[Fold], Artifact]) -> Artifact:
    return convert(Fold())


@pytest.fixture(scope="module")
def decoding(convert: Callable[[Fold], Artifact]) -> Artifact:
    return convert(Fold(decoder=True))


def test_the_runtime_gets_the_same_keypoints(
    plain: Artifact, decoding: Artifact, drawn: ConversionData
) -> None:
    assert decoding.manifest.decoder.name == "keypoints"
    with (
        Estimator(plain, open_backend(plain)) as one,
        Estimator(decoding, open_backend(decoding)) as other,
    ):
        for person in drawn.gate.persons[:10]:
            image, region = read_image(person.image), person.region((64, 64))
            a, b = one.estimate(image, region), other.estimate(image, region)
            assert np.abs(a.keypoints - b.keypoints).max() < 1e-2
            assert np.abs(a.scores - b.scores).max() < 1e-4


def test_the_gate_measures_it(checkpoint: Path, decoding: Artifact, drawn: ConversionData) -> None:
    yardstick = open_yardstick(*load_checkpoint(checkpoint), drawn)
    with closing(open_backend(decoding)) as backend:
        gate = yardstick.gate(decoding, backend, Limits(0.1))
    assert gate.reasons == ()
    assert gate.drift_p95_px < 0.1
    assert gate.output_range["artifact"][1] > 60  # px, not heights


def test_there_are_no_heatmaps_to_average(decoding: Artifact) -> None:
    with closing(open_backend(decoding)) as backend:
        predictor = ArtifactPredictor(decoding, backend)
        with pytest.raises(UsageError, match="flip test: the graph decodes"):
            predict_crops(predictor, np.zeros((1, 64, 64, 3), np.uint8), flip_test=True)
