"""The calibration cache for TensorRT, made here and used on the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from converters import onnx_fp16, torch_onnx
from converters.base import Convert, Options
from converters.calibration import CalibrationSet
from converters.manifest import describe
from converters.tensorrt_cache import calibration_cache
from edge_pose.artifact import Artifact
from edge_pose.engines.calibration_cache import parse_cache
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.preprocess import to_tensor
from edge_pose.types import Image
from training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def artifact_of(checkpoint: Path) -> Callable[[Convert], Artifact]:
    def make(convert: Convert) -> Artifact:
        model, info = load_checkpoint(checkpoint)
        converted = convert(model, info, None, Options())
        manifest = describe(model, info, "ab" * 32, converted, None)
        return Artifact(Path("artifact"), manifest, converted.model)

    return make


def test_every_tensor_has_the_scale_of_its_largest_number(
    artifact_of: Callable[[Convert], Artifact], crops: Image
) -> None:
    artifact = artifact_of(torch_onnx.convert)
    calibration = CalibrationSet("drawn", crops)
    scales = parse_cache(calibration_cache(artifact, calibration, "MinMax"), "cache")
    graph = onnx.load_from_string(artifact.model).graph
    assert set(scales) == {"image"} | {name for node in graph.node for name in node.output}
    session = onnxruntime.InferenceSession(artifact.model)
    images = to_tensor(crops, artifact.manifest.input.spec)
    largest = max(np.abs(session.run(None, {"image": one[None]})[0]).max() for one in images)
    assert scales["heatmaps"] == pytest.approx(largest / 127, rel=1e-5)
    assert scales["image"] == pytest.approx(np.abs(images).max() / 127, rel=1e-5)


def test_same_text_again_by_entropy(
    artifact_of: Callable[[Convert], Artifact], crops: Image
) -> None:
    artifact, calibration = artifact_of(torch_onnx.convert), CalibrationSet("drawn", crops)
    whole = parse_cache(calibration_cache(artifact, calibration, "MinMax"), "cache")
    text = calibration_cache(artifact, calibration)
    found = parse_cache(text, "cache")
    assert set(found) == set(whole)
    assert all(0.2 * whole[name] < scale <= 1.01 * whole[name] for name, scale in found.items())
    assert found != whole
    assert calibration_cache(artifact, calibration) == text


def test_names_are_those_of_the_artifact_itself(
    artifact_of: Callable[[Convert], Artifact], crops: Image
) -> None:
    artifact = artifact_of(onnx_fp16.convert)
    scales = parse_cache(calibration_cache(artifact, CalibrationSet("drawn", crops)), "cache")
    graph = onnx.load_from_string(artifact.model).graph
    assert set(scales) == {"image"} | {name for node in graph.node for name in node.output}


def test_integers_for_cpus_have_no_cache(
    artifact_of: Callable[[Convert], Artifact], crops: Image
) -> None:
    artifact = artifact_of(torch_onnx.convert)
    file = artifact.manifest.file.model_copy(update={"precision": "int8"})
    manifest = artifact.manifest.model_copy(update={"file": file})
    other = Artifact(artifact.folder, manifest, artifact.model)
    with pytest.raises(UsageError, match="is onnx int8, a calibration cache is made of onnx fp32"):
        calibration_cache(other, CalibrationSet("drawn", crops))


def test_crops_of_another_size_are_one_line(
    artifact_of: Callable[[Convert], Artifact], crops: Image
) -> None:
    small = CalibrationSet("drawn", crops[:, ::2, ::2])
    with pytest.raises(EdgePoseError, match="calibration cache: cannot run the graph") as caught:
        calibration_cache(artifact_of(torch_onnx.convert), small)
    assert "\n" not in str(caught.value)
