"""The contract of runtimes that read ONNX: the same artifact, the same keypoints, clear refusals.

For TFLite files see test_tflite.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import BACKENDS, available_cores, open_backend
from edge_pose.errors import BackendError, UsageError
from edge_pose.preprocess import bbox_region
from edge_pose.samples import WALKING

READ_ONNX = [name for name in BACKENDS if name != "tflite"]
EVERY = pytest.mark.parametrize("name", READ_ONNX)


@pytest.fixture
def artifact(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Artifact:
    for module in READ_ONNX:
        need(module)
    return load_artifact(tiny_artifact)


@EVERY
def test_it_says_what_it_is_and_returns_the_heatmaps(artifact: Artifact, name: str) -> None:
    backend = open_backend(artifact, name, threads=1)
    assert (backend.name, backend.device) == (name, "CPU")
    assert backend.version[0].isdigit()
    tensor = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    first = backend.run(tensor)
    again = backend.run(tensor)
    other = backend.run(tensor[:, ::-1].copy())
    backend.close()
    assert [output.shape for output in first] == [(1, 16, 16, 16)]
    assert first[0].dtype == np.float32
    assert np.array_equal(first[0], again[0])  # and results are the caller's own
    assert not np.allclose(first[0], other[0])


def test_all_of_them_agree_in_float(artifact: Artifact) -> None:
    tensor = np.random.default_rng(2).standard_normal((1, 3, 64, 64)).astype(np.float32)
    outputs = [open_backend(artifact, name, threads=2).run(tensor)[0] for name in READ_ONNX]
    for output in outputs[1:]:
        assert np.allclose(outputs[0], output, atol=1e-4)


def test_all_of_them_find_the_same_person_with_the_shipped_default(
    need: Callable[[str], ModuleType],
) -> None:
    *_, last = edge_pose.stream(WALKING, max_frames=140)
    region = bbox_region(last.poses[0].bbox_xyxy, (192, 192), 1.4)
    poses = []
    for name in READ_ONNX:
        need(name)
        with edge_pose.load(backend=name) as estimator:
            poses.append(estimator.estimate(last.frame.image, region))
    sure = np.minimum.reduce([pose.scores for pose in poses]) > 0.5
    assert sure.sum() >= 8
    for pose in poses[1:]:
        # Runtimes round int8 differently: half of a heatmap px of 4 input px.
        drift = np.linalg.norm(pose.keypoints - poses[0].keypoints, axis=1)[sure]
        assert np.median(drift) < 2 * region.size[0] / 192


@EVERY
def test_a_tensor_that_does_not_fit_is_refused_in_one_line(artifact: Artifact, name: str) -> None:
    backend = open_backend(artifact, name)
    with pytest.raises(BackendError, match=r"input \(1, 3, 32, 64\) refused") as error:
        backend.run(np.zeros((1, 3, 32, 64), np.float32))
    assert "\n" not in str(error.value)


@EVERY
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "pixels"}, "pixels [1, 3, 64, 64] float32"),
        ({"size": (16384, 16384)}, "image [1, 3, 16384, 16384] float32"),
        ({"layout": "nhwc"}, "image [1, 64, 64, 3] float32"),
        ({"dtype": "uint8"}, "image [1, 3, 64, 64] uint8"),
    ],
)
def test_an_input_that_the_graph_does_not_have_is_refused(
    artifact: Artifact, name: str, change: dict[str, Any], told: str
) -> None:
    other = artifact.manifest.input.model_copy(update=change)
    manifest = artifact.manifest.model_copy(update={"input": other})
    with pytest.raises(BackendError) as error:
        open_backend(replace(artifact, manifest=manifest), name)
    message = str(error.value)
    assert "the graph has inputs ['image [1, 3, 64, 64] float32']" in message
    assert f"the manifest says ['{told}']" in message


@EVERY
def test_an_output_of_another_shape_is_refused(artifact: Artifact, name: str) -> None:
    other = artifact.manifest.outputs[0].model_copy(update={"shape": (1, 16, 8, 16)})
    manifest = artifact.manifest.model_copy(update={"outputs": (other,)})
    with pytest.raises(BackendError, match=r"says .* and \['heatmaps \[1, 16, 8, 16\] float32'\]"):
        open_backend(replace(artifact, manifest=manifest), name)


@EVERY
def test_what_is_no_model_is_refused_in_one_line(artifact: Artifact, name: str) -> None:
    with pytest.raises(BackendError, match="refuses it: ") as error:
        open_backend(replace(artifact, model=artifact.model[:100]), name)
    assert "\n" not in str(error.value)


@EVERY
def test_another_format_is_refused(artifact: Artifact, name: str) -> None:
    file = artifact.manifest.file.model_copy(update={"format": "tflite"})
    manifest = artifact.manifest.model_copy(update={"file": file})
    with pytest.raises(BackendError, match="format tflite, expected onnx"):
        open_backend(replace(artifact, manifest=manifest), name)


def test_an_unknown_backend_is_a_usage_error(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        open_backend(artifact, "openvno")


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
