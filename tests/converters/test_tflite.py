"""Conversion to TFLite in its four precisions, on a tiny network with peaks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from converters import (
    tflite_dynamic_int8,
    tflite_file,
    tflite_fp16,
    tflite_int8,
    torch_tflite,
)
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import Fold, Prediction
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import load_checkpoint

MODULES = {
    "fp32": torch_tflite,
    "fp16": tflite_fp16,
    "dynamic_int8": tflite_dynamic_int8,
    "int8": tflite_int8,
}
# Mean error over the spread of the heatmaps: what is rounded must show, and not too much.
ERROR = {
    "fp32": (0, 1e-6),
    "fp16": (1e-6, 1e-3),
    "dynamic_int8": (1e-4, 0.02),
    "int8": (1e-4, 0.02),
}
Convert = Callable[..., Converted]


@pytest.fixture(autouse=True, scope="module")
def _installed(need: Callable[[str], ModuleType]) -> None:
    need("litert_torch")
    need("ai_edge_quantizer")


@pytest.fixture(autouse=True)
def _float_once(exported: dict[object, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """All precisions begin with the same float file, whose making takes seconds."""
    export = torch_tflite.export

    def once(module: torch.nn.Module, example: torch.Tensor, names: tuple[str, ...]) -> bytes:
        key = (
            str(module),
            sum(p.detach().sum().item() for p in module.parameters()),
            example.shape,
        )
        if key not in exported:
            exported[key] = export(module, example, names)
        return exported[key]

    monkeypatch.setattr(torch_tflite, "export", once)


@pytest.fixture(scope="module")
def exported() -> dict[object, bytes]:
    return {}


@pytest.fixture
def convert(checkpoint: Path, crops: Image) -> Convert:
    """Convert the tiny network."""

    def call(precision: str, **options: object) -> Converted:
        calibration = CalibrationSet("drawn", crops) if precision == "int8" else None
        model, info = load_checkpoint(checkpoint)
        return MODULES[precision].convert(model, info, calibration, Options(**options))  # type: ignore[arg-type]

    return call


@pytest.fixture
def artifact(checkpoint: Path, crops: Image) -> Callable[[Converted], Artifact]:
    def make(converted: Converted) -> Artifact:
        calibrated = CalibrationSet("drawn", crops) if converted.method else None
        manifest = describe(*load_checkpoint(checkpoint), "ab" * 32, converted, calibrated)
        return Artifact(Path(manifest.name), manifest, converted.model)

    return make


def expected_of(checkpoint: Path, crops: Image) -> FloatArray:
    model, info = load_checkpoint(checkpoint)
    with torch.no_grad():
        image = torch.from_numpy(to_tensor(crops, info.input_spec))
        heatmaps: FloatArray = Prediction(model, "top_down")(image)[0].numpy()
    return heatmaps


def found_of(artifact: Artifact, crops: Image) -> FloatArray:
    """Run each crop through the runtime that devices have."""
    spec = artifact.manifest.input.spec
    with closing(open_backend(artifact, threads=1)) as backend:
        return np.concatenate([backend.run(to_tensor(crop[None], spec))[0] for crop in crops])


@pytest.mark.parametrize("precision", MODULES)
def test_heatmaps_stay_as_close_to_torch_as_the_precision_allows(
    convert: Convert,
    artifact: Callable[[Converted], Artifact],
    checkpoint: Path,
    crops: Image,
    precision: str,
) -> None:
    converted = convert(precision)
    expected = expected_of(checkpoint, crops)
    found = found_of(artifact(converted), crops)
    least, most = ERROR[precision]
    assert least <= np.abs(found - expected).mean() / expected.std() <= most
    assert (converted.format, converted.precision) == ("tflite", precision)
    assert converted.backend == "tflite"
    assert converted.graph.input.layout == "nhwc"
    assert [o.layout for o in converted.graph.outputs] == ["nhwk"]


def test_files_shrink_with_their_weights(convert: Convert) -> None:
    full, half = (len(convert(precision).model) for precision in ("fp32", "fp16"))
    integers = len(convert("int8", integer_io=True).model)
    assert full > half > integers


def test_nothing_but_layers_is_left_in_the_float_file(convert: Convert) -> None:
    operators = tflite_file.operators(convert("fp32").model)
    kinds = Counter(operator.kind for operator in operators)
    assert set(kinds) <= {"PAD", "CONV_2D", "DEPTHWISE_CONV_2D"}  # no TRANSPOSE at either end
    assert kinds["CONV_2D"] == 2
    assert kinds["DEPTHWISE_CONV_2D"] == 1
    assert [o.name for o in operators if o.head] == ["heatmaps"]
    # Names say what they are, and not where the converter ran.
    assert all(o.name.rsplit("_", 1)[0].upper() == o.kind for o in operators[:-1])


def test_int8_keeps_the_head_float_and_integer_io_does_not(convert: Convert) -> None:
    by_default = tflite_file.operators(convert("int8").model)
    kinds = {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert [o.integer for o in by_default if o.kind in kinds] == [True, True, False]
    full = convert("int8", integer_io=True)
    assert all(o.integer for o in tflite_file.operators(full.model))
    (stored,), outputs = tflite_file.tensors(full.model)
    assert (stored.name, stored.dtype) == ("image", "int8")
    assert full.graph.input.dtype == "int8"
    assert full.graph.input.quantization == stored.quantization
    assert full.graph.outputs[0].dtype == "int8"
    assert full.graph.outputs[0].quantization == outputs[0].quantization
    # The mean is 127 and the deviation 128: a step is about a pixel.
    assert stored.quantization is not None
    assert 128 * stored.quantization.scale == pytest.approx(1, abs=0.05)


def test_integer_io_runs_on_pixels(
    convert: Convert, artifact: Callable[[Converted], Artifact], checkpoint: Path, crops: Image
) -> None:
    expected = expected_of(checkpoint, crops)
    found = found_of(artifact(convert("int8", integer_io=True)), crops)
    assert 1e-4 < np.abs(found - expected).mean() / expected.std() < 0.05


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_pixels_and_decoder_can_be_folded(
    convert: Convert,
    artifact: Callable[[Converted], Artifact],
    checkpoint: Path,
    crops: Image,
    precision: str,
) -> None:
    from edge_pose.decoding.heatmap import decode_heatmaps

    converted = convert(precision, fold=Fold(pixels=True, decoder=True))
    assert converted.graph.contains == ("normalization", "decoder")
    assert converted.graph.input.dtype == "uint8"
    assert [o.layout for o in converted.graph.outputs] == ["nkc"]
    found = found_of(artifact(converted), crops)
    keypoints, scores = decode_heatmaps(expected_of(checkpoint, crops), 4, "logits")
    distance = np.linalg.norm(found[..., :2] - keypoints, axis=2)
    assert np.quantile(distance, 0.9) < {"fp32": 0.01, "int8": 1.0}[precision]
    assert np.quantile(np.abs(found[..., 2] - scores), 0.9) < {"fp32": 1e-3, "int8": 0.1}[precision]


def test_nothing_is_folded_into_integers_alone(convert: Convert) -> None:
    with pytest.raises(UsageError, match="nothing to fold"):
        convert("int8", integer_io=True, fold=Fold(pixels=True))


@pytest.mark.parametrize("method", tflite_int8.METHODS)
def test_every_calibration_method_gives_a_file_of_its_own(
    convert: Convert,
    artifact: Callable[[Converted], Artifact],
    checkpoint: Path,
    crops: Image,
    method: str,
) -> None:
    converted = convert("int8", method=method)
    assert converted.method == method
    expected = expected_of(checkpoint, crops)
    found = found_of(artifact(converted), crops)
    assert np.abs(found - expected).mean() < 0.03 * expected.std()
    others = {convert("int8", method=other).model for other in tflite_int8.METHODS}
    assert len(others) == len(tflite_int8.METHODS)


def test_an_unknown_method_or_layer_is_a_usage_error(convert: Convert) -> None:
    with pytest.raises(UsageError, match=r"calibration method 'minmax': .*'min_max'"):
        convert("int8", method="minmax")
    with pytest.raises(UsageError, match="layer 'conv_2d_99': unknown"):
        convert("int8", float_layers=("conv_2d_99",))


def test_layers_are_ranked_by_what_their_integers_do(
    convert: Convert, checkpoint: Path, crops: Image
) -> None:
    model, info = load_checkpoint(checkpoint)
    with torch.no_grad():  # one channel so large that the others of its layer drown in a step
        model.body[3].weight[0] *= 40
        model.body[3].bias[0] = 100.0
    calibration = CalibrationSet("drawn", crops)
    ranked = tflite_int8.rank_layers(model, info, calibration, Options())
    floating = torch_tflite.convert(model, info, None, Options()).model
    layers = [o.name for o in tflite_file.operators(floating) if o.kind != "PAD"]
    assert set(ranked) == set(layers[:-1])  # the head is float anyway
    chosen = ranked[:1]
    converted = tflite_int8.convert(model, info, calibration, Options(float_layers=chosen))
    assert converted.float_layers == chosen
    integer = {o.name: o.integer for o in tflite_file.operators(converted.model)}
    assert not integer[chosen[0]]
    assert integer[ranked[1]]


def test_same_bytes_again_in_silence(
    convert: Convert,
    exported: dict[object, bytes],
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = [convert(precision).model for precision in ("fp32", "int8")]
    exported.clear()
    capfd.readouterr()
    assert [convert(precision).model for precision in ("fp32", "int8")] == first
    assert capfd.readouterr() == ("", "")


def test_without_pictures(convert: Convert, checkpoint: Path) -> None:
    with pytest.raises(EdgePoseError, match="no calibration pictures"):
        tflite_int8.convert(*load_checkpoint(checkpoint), None, Options())


def test_crops_of_another_size_are_one_line(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    small = CalibrationSet("drawn", crops[:, :32, :32])
    with pytest.raises(
        EdgePoseError, match=r"pictures of \(1, 32, 32, 3\), .* takes \(1, 64"
    ) as error:
        tflite_int8.convert(model, info, small, Options())
    assert "\n" not in str(error.value)


def test_an_operator_that_cannot_be_converted_is_one_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    _, info = load_checkpoint(checkpoint)

    class Odd(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            return [torch.linalg.qr(image)[0]]

    with pytest.raises(EdgePoseError, match="torch to TFLite: ") as error:
        torch_tflite.convert(Odd(), info, None, Options())
    assert "\n" not in str(error.value)


def test_without_the_packages_one_line_says_what_to_install(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    message = r"litert_torch is not installed, pip install 'edge-pose\[convert-tflite\]'"
    with pytest.raises(EdgePoseError, match=message):
        torch_tflite.convert(*load_checkpoint(checkpoint), None, Options())
