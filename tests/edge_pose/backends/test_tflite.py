"""LiteRT on hand-made files: float32, int8 and uint8 tensors, channels last, and clear refusals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import open_backend, tflite
from edge_pose.errors import BackendError
from edge_pose.estimator import Estimator
from edge_pose.manifest import Manifest
from edge_pose.preprocess import Region, to_tensor
from edge_pose.types import Image

FILES = Path(__file__).parents[2] / "fixtures" / "tflite"
EVERY = pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
Make = Callable[..., Artifact]


@pytest.fixture
def make(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Make:
    """Return a function: the tiny artifact as TFLite, with changes in input and first output."""
    need("ai_edge_litert")

    def artifact(
        dtype: str, file: str = "", *, name: str = "image", channels_last: bool = True
    ) -> Artifact:
        model = (FILES / (file or f"blobs_{dtype}.tflite")).read_bytes()
        values = load_artifact(tiny_artifact).manifest.model_dump(mode="json", by_alias=True)
        values["file"] |= {"name": "model.tflite", "format": "tflite", "backend": "tflite"}
        values["input"] |= {"layout": "nhwc", "dtype": dtype, "name": name}
        values["outputs"][0] |= {"layout": "nhwk" if channels_last else "nkhw", "dtype": dtype}
        return Artifact(tiny_artifact, Manifest.model_validate(values), model)

    return artifact


@pytest.fixture
def picture() -> Image:
    """A picture with places that are as red, green or blue as can be."""
    image = np.random.default_rng(1).integers(0, 90, (64, 64, 3)).astype(np.uint8)
    for channel, (x, y) in enumerate([(13, 8), (40, 20), (28, 50)]):
        image[y : y + 8, x : x + 8] = 0
        image[y : y + 8, x : x + 8, channel] = 255
    return image


@EVERY
def test_every_dtype_gives_what_onnx_runtime_gives(
    make: Make, dtype: str, picture: Image, tiny_artifact: Path
) -> None:
    reference = load_artifact(tiny_artifact)
    expected = open_backend(reference).run(to_tensor(picture[None], reference.manifest.input.spec))
    artifact = make(dtype)
    backend = open_backend(artifact, threads=1)
    assert (backend.name, backend.device) == ("tflite", "CPU")
    assert backend.version[0].isdigit()
    (found,) = backend.run(to_tensor(picture[None], artifact.manifest.input.spec))
    backend.close()
    assert (found.shape, found.dtype) == ((1, 16, 16, 16), np.float32)
    # int8 rounds pixels, means, weights and results: two steps of the result's scale, and half a
    # step of 2/255 times the largest weight where pixels lose their last bit.
    tolerance = {"float32": 1e-5, "int8": 0.02, "uint8": 0.03}[dtype]
    assert np.abs(found - expected[0]).max() < tolerance
    assert expected[0].max() > 1


@EVERY
def test_the_estimator_finds_the_same_keypoints(
    make: Make, dtype: str, picture: Image, tiny_artifact: Path
) -> None:
    reference = load_artifact(tiny_artifact)
    region = Region((31.5, 31.5), (64, 64))
    expected = Estimator(reference, open_backend(reference)).estimate(picture, region)
    artifact = make(dtype)
    found = Estimator(artifact, open_backend(artifact)).estimate(picture, region)
    assert np.abs(found.keypoints - expected.keypoints).max() < 0.3
    assert found.scores.min() > 0.95


def test_what_is_stored_for_a_pixel_holds_the_normalisation(make: Make) -> None:
    declared = make("int8").manifest.input
    stored = tflite.GraphTensor(0, "image", (1, 64, 64, 3), np.dtype(np.int8), 1 / 128, -1)
    values = declared.model_copy(update={"mean": (127.0, 27.0, 0.0), "std": (128.0, 64.0, 255.0)})
    table = tflite.pixel_table(values, stored, "here")
    assert table is not None
    # (pixel - mean) / std * 128 - 1, limited to -128..127.
    assert table[:, 0].tolist() == [-128, -55, -1]
    assert table[:, 100].tolist() == [-28, 127, 49]
    raw = tflite.GraphTensor(0, "image", (1, 64, 64, 3), np.dtype(np.uint8), 0, 0)
    assert tflite.pixel_table(values, raw, "here") is None
    same = tflite.GraphTensor(0, "image", (1, 64, 64, 3), np.dtype(np.uint8), 1 / 255, 0)
    assert tflite.pixel_table(declared, same, "here") is None
    nothing = tflite.GraphTensor(0, "image", (1, 64, 64, 3), np.dtype(np.int8), 0, 0)
    with pytest.raises(BackendError, match="here: input 'image' is int8 without a scale"):
        tflite.pixel_table(declared, nothing, "here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pixels"}, r"has inputs \['image \[1, 64, 64, 3\] float32'\].*says \['pixels"),
        ({"file": "blobs_int8.tflite"}, r"\[1, 64, 64, 3\] int8.*float32"),
        ({"file": "keypoints17.tflite"}, r"\[1, 32, 32, 3\] uint8"),
        ({"file": "unknown_operator.tflite"}, "refuses it: .*SkipsTheHardPart"),
        ({"file": "make.py"}, "refuses it: "),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    make: Make, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(BackendError, match=message) as error:
        open_backend(make("float32", **changes))
    assert "\n" not in str(error.value)


def test_a_tensor_that_does_not_fit_is_refused_in_one_line(make: Make) -> None:
    backend = open_backend(make("float32"))
    with pytest.raises(BackendError, match=r"input \(1, 3, 64, 64\) refused") as error:
        backend.run(np.zeros((1, 3, 64, 64), np.float32))
    assert "\n" not in str(error.value)
    with pytest.raises(BackendError, match=r"refused: found uint8, expected .* float32"):
        backend.run(np.zeros((1, 64, 64, 3), np.uint8))


def test_another_format_is_refused(make: Make) -> None:
    artifact = make("float32")
    file = artifact.manifest.file.model_copy(update={"format": "onnx"})
    manifest = artifact.manifest.model_copy(update={"file": file})
    with pytest.raises(BackendError, match="format onnx, expected tflite"):
        open_backend(Artifact(artifact.folder, manifest, artifact.model))


def test_the_predecessor_of_litert_is_used_where_only_that_is_installed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    artifact = make("float32")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(BackendError, match=r"not installed, pip install 'edge-pose\[tflite\]'"):
        open_backend(artifact)
    old = SimpleNamespace(Interpreter=Interpreter)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", old)
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setattr(tflite, "version", {"tflite-runtime": "2.14.0"}.__getitem__)
    assert open_backend(artifact).version == "2.14.0"
