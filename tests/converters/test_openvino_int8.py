from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch

from converters import openvino_int8, openvino_quantize
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import Fold
from converters.openvino_layers import float_weighted, quantized_layers, quantizers
from converters.openvino_run import run_graph
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.preprocess import to_tensor
from edge_pose.types import Image
from training.checkpoint import load_checkpoint

pytest.importorskip("nncf")
HEAD = "Convolution_1"  # the last convolution of the tiny network, after a depthwise one

Convert = Callable[..., Converted]


@pytest.fixture(scope="module")
def convert(checkpoint: Path, crops: Image) -> Convert:
    made: dict[Options, Converted] = {}

    def once(**options: object) -> Converted:
        key = Options(**options)
        if key not in made:
            calibration = CalibrationSet("drawn", crops)
            made[key] = openvino_int8.convert(*load_checkpoint(checkpoint), calibration, key)
        return made[key]

    return once


def read(converted: Converted) -> openvino.Model:
    return openvino.Core().read_model(converted.model, converted.weights)


def likeness(converted: Converted, checkpoint: Path, crops: Image) -> float:
    """Correlation of all heatmaps with torch's."""
    model, _ = load_checkpoint(checkpoint)
    plain = replace(converted.graph.input.spec, layout="nchw", dtype="float32")
    with torch.no_grad():
        expected = model(torch.from_numpy(to_tensor(crops[:4], plain)))[-1].numpy()
    tensors = [to_tensor(crops[i : i + 1], converted.graph.input.spec) for i in range(4)]
    found = np.concatenate([outputs[0] for outputs in run_graph(read(converted), tensors)])
    assert not np.array_equal(found, expected)
    return float(np.corrcoef(expected.ravel(), found.ravel())[0, 1])


@pytest.mark.parametrize("method", openvino_int8.METHODS)
def test_every_method_keeps_the_heatmaps(
    convert: Convert, checkpoint: Path, crops: Image, method: str
) -> None:
    converted = convert(method=method)
    assert (converted.method, converted.precision) == (method, "int8")
    assert likeness(converted, checkpoint, crops) > 0.999


def test_the_first_method_is_the_default(convert: Convert) -> None:
    assert convert().model == convert(method=openvino_int8.METHODS[0]).model
    assert convert().method == openvino_int8.METHODS[0]


def test_methods_differ(convert: Convert) -> None:
    files = {convert(method=m).model + convert(method=m).weights for m in openvino_int8.METHODS[:4]}
    assert len(files) >= 3


def test_weights_are_integers_and_the_head_is_float(convert: Convert) -> None:
    converted = convert()
    model = read(converted)
    assert converted.scheme == "U8S8 per channel"
    assert float_weighted(model) == (HEAD,)
    assert converted.float_layers == ()  # the head is float in every file
    assert set(quantized_layers(model)) >= {"Convolution_0", "GroupConvolution_0"}
    # One scale per channel: 24 of them.
    scales = {
        tuple(layer.input_value(1).get_shape())
        for layer in model.get_ops()
        if layer.get_type_name() == "Multiply"
    }
    assert (24, 1, 1, 1) in scales


def test_it_is_a_quarter_of_the_size(convert: Convert) -> None:
    head = 16 * 24 * 9
    others = 24 * 3 * 25 + 24 * 25
    assert len(convert().weights) < 4 * head + 2 * others


def test_layers_can_stay_float(convert: Convert) -> None:
    converted = convert(float_layers=("GroupConvolution_0",))
    assert converted.float_layers == ("GroupConvolution_0",)
    assert float_weighted(read(converted)) == ("GroupConvolution_0", HEAD)
    assert len(quantizers(read(converted))) < len(quantizers(read(convert())))


def test_pixels_and_decoder_in_the_graph(convert: Convert, crops: Image) -> None:
    converted = convert(fold=Fold(pixels=True, decoder=True))
    tensor = to_tensor(crops[:1], converted.graph.input.spec)
    assert tensor.dtype == np.uint8
    with torch.no_grad():
        (expected,) = converted.graph.module(torch.from_numpy(tensor))
    ((found,),) = run_graph(read(converted), [tensor])
    assert found.shape == (1, 16, 3)
    distance = np.linalg.norm(found[0, :, :2] - expected.numpy()[0, :, :2], axis=1)
    assert np.median(distance) < 1.0  # px; peaks of an untrained network may swap places


def test_same_bytes_again_in_silence(
    convert: Convert, checkpoint: Path, crops: Image, capfd: pytest.CaptureFixture[str]
) -> None:
    first = convert()
    capfd.readouterr()
    calibration = CalibrationSet("drawn", crops)
    again = openvino_int8.convert(*load_checkpoint(checkpoint), calibration, Options())
    assert (again.model, again.weights) == (first.model, first.weights)
    assert b"nncf" not in again.model  # no notes on how and with what it was made
    assert capfd.readouterr() == ("", "")


def test_other_crops_give_another_model(convert: Convert, checkpoint: Path, crops: Image) -> None:
    bright = CalibrationSet("bright", np.maximum(crops, 200))
    other = openvino_int8.convert(*load_checkpoint(checkpoint), bright, Options())
    assert other.weights != convert().weights


def test_accuracy_control_restores_what_is_needed(
    convert: Convert, checkpoint: Path, crops: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = convert(method="accuracy_control")
    assert loose.float_layers == ()
    monkeypatch.setattr(openvino_quantize, "MAX_ERROR", 0.002)
    strict = openvino_int8.convert(
        *load_checkpoint(checkpoint),
        CalibrationSet("drawn", crops),
        Options(method="accuracy_control"),
    )
    assert strict.float_layers
    assert likeness(strict, checkpoint, crops) > likeness(loose, checkpoint, crops)


def test_ranking_finds_the_layer_that_suffers(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    calibration = CalibrationSet("drawn", crops)
    layers = openvino_int8.rank_layers(model, info, calibration, Options())
    assert sorted(layers) == ["Convolution_0", "GroupConvolution_0"]
    with torch.no_grad():
        # One weight dwarfs the others of each channel, so that these fall between the integers.
        model.body[3].weight[:, :, 0, 0] = 0.0
        model.body[0].weight *= 0.05
        model.body[3].weight[:, :, 4, 4] = 40.0
    worst = openvino_int8.rank_layers(model, info, calibration, Options())[0]
    assert worst == "GroupConvolution_0"


def test_unknown_words(convert: Convert) -> None:
    with pytest.raises(UsageError, match="method 'histogrm': unknown, did you mean 'histogram'"):
        convert(method="histogrm")
    with pytest.raises(UsageError, match="float layer 'Convolution_9': unknown"):
        convert(float_layers=("Convolution_9",))


def test_without_pictures(checkpoint: Path) -> None:
    with pytest.raises(EdgePoseError, match="no calibration pictures"):
        openvino_int8.convert(*load_checkpoint(checkpoint), None, Options())


def test_crops_of_another_size_are_one_line(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    with pytest.raises(EdgePoseError, match="pictures of 64x64 px, the input has 32x32") as caught:
        openvino_int8.convert(
            model, replace(info, input_size=(32, 32)), CalibrationSet("drawn", crops), Options()
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ValidationError", "ValueError"])
def test_what_nncf_refuses_is_one_line(
    checkpoint: Path, crops: Image, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import nncf

    def refuse(*args: object, **options: object) -> None:
        raise getattr(nncf, kind, ValueError)("no such luck\nand more")

    monkeypatch.setattr(nncf, "quantize", refuse)
    with pytest.raises(EdgePoseError, match=r"OpenVINO to int8: cannot quantize: no such luck$"):
        openvino_int8.convert(
            *load_checkpoint(checkpoint), CalibrationSet("drawn", crops), Options()
        )


def test_where_values_have_no_histogram_the_next_method_finds_ranges(
    checkpoint: Path, crops: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nncf

    real = nncf.quantize

    def no_histogram(*args: object, **options: Any) -> object:
        if "histogram" in str(options["advanced_parameters"]).lower():
            np.histogram([1.0, np.nextafter(1.0, 2)], 2048)  # NNCF's do this to hourglass_dice
        return real(*args, **options)

    monkeypatch.setattr(nncf, "quantize", no_histogram)
    model, info = load_checkpoint(checkpoint)
    calibration = CalibrationSet("drawn", crops)
    found = openvino_int8.convert(model, info, calibration, Options())
    assert found.method == openvino_int8.METHODS[1]
    with pytest.raises(EdgePoseError, match="OpenVINO to int8: cannot find ranges: Too many bins"):
        openvino_int8.convert(model, info, calibration, Options(method="histogram"))
    assert openvino_int8.rank_layers(model, info, calibration, Options())
