from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from converters import onnx_int8
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import Fold
from edge_pose.decoding.heatmap import decode_heatmaps
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.manifest import Quantization
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo, load_checkpoint

Triple = tuple[float, float, float]


@pytest.fixture(scope="module")
def convert(checkpoint_of: Callable[[str], Path], crops: Image) -> Callable[[str], Converted]:
    """Convert each tiny network once."""
    done: dict[str, Converted] = {}

    def once(name: str) -> Converted:
        if name not in done:
            loaded = load_checkpoint(checkpoint_of(name))
            done[name] = onnx_int8.convert(*loaded, CalibrationSet("drawn", crops), Options())
        return done[name]

    return once


@pytest.mark.parametrize("name", ["tiny", "tiny_means"])
def test_heatmaps_stay_close_to_torch(
    convert: Callable[[str], Converted],
    checkpoint_of: Callable[[str], Path],
    crops: Image,
    name: str,
) -> None:
    model, info = load_checkpoint(checkpoint_of(name))
    with torch.no_grad():
        expected = model(torch.from_numpy(to_tensor(crops, info.input_spec)))[-1].numpy()
    converted = convert(name)
    session = onnxruntime.InferenceSession(converted.model)
    inputs = to_tensor(crops, converted.graph.input.spec)
    found = np.concatenate([session.run(None, {"image": one[None]})[0] for one in inputs])
    error = np.abs(found - expected)
    assert 0 < error.mean() < 0.02 * expected.std()  # it is quantized, and well


def test_whole_mean_makes_the_graph_take_pixels(convert: Callable[[str], Converted]) -> None:
    converted = convert("tiny")
    graph = onnx.load_from_string(converted.model).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [n.op_type for n in graph.node if "image" in n.input] == ["DequantizeLinear"]
    stored = converted.graph.input.quantization
    assert converted.graph.input.dtype == "uint8"
    assert stored == Quantization(scale=1 / 128, zero_point=127)
    # What the graph makes of pixels is what preprocessing makes of them for the float network.
    pixels = np.arange(256)
    np.testing.assert_array_equal((pixels - stored.zero_point) * stored.scale, (pixels - 127) / 128)


def test_mean_per_channel_keeps_float_input(convert: Callable[[str], Converted]) -> None:
    converted = convert("tiny_means")
    graph = onnx.load_from_string(converted.model).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert converted.graph.input.dtype == "float32"
    assert converted.graph.input.quantization is None


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
        ((127.0, 127.0, 126.0), (128.0, 128.0, 128.0)),
        ((127.0, 127.0, 127.0), (128.0, 128.0, 127.0)),
        ((-1.0, -1.0, -1.0), (128.0, 128.0, 128.0)),
        ((256.0, 256.0, 256.0), (128.0, 128.0, 128.0)),
    ],
)
def test_other_normalisations_are_not_pixels(mean: Triple, std: Triple) -> None:
    assert onnx_int8.pixel_quantization(InputSpec((64, 64), mean=mean, std=std)) is None


def test_weights_are_8_bit_per_channel_and_the_head_is_float(
    convert: Callable[[str], Converted],
) -> None:
    graph = onnx.load_from_string(convert("tiny").model).graph
    kinds = Counter(t.data_type for t in graph.initializer if len(t.dims) == 4)
    assert kinds == {onnx.TensorProto.INT8: 2, onnx.TensorProto.FLOAT: 1}
    weights = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT8}
    shapes = {t.name: list(t.dims) for t in graph.initializer}
    scales = [shapes[n.input[1]] for n in graph.node if n.input[0] in weights]
    assert scales == [[24], [24]]
    assert graph.node[-1].op_type == "Conv"
    assert list(graph.node[-1].output) == ["heatmaps"]


def test_same_bytes_again_in_silence(
    convert: Callable[[str], Converted],
    checkpoint: Path,
    crops: Image,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = convert("tiny").model
    capfd.readouterr()
    again = onnx_int8.convert(
        *load_checkpoint(checkpoint), CalibrationSet("drawn", crops), Options()
    )
    assert again.model == first
    assert capfd.readouterr() == ("", "")


def test_other_crops_give_another_model(
    convert: Callable[[str], Converted], checkpoint: Path, crops: Image
) -> None:
    bright = CalibrationSet("bright", np.maximum(crops, 200))
    assert (
        onnx_int8.convert(*load_checkpoint(checkpoint), bright, Options()).model
        != convert("tiny").model
    )


def test_without_pictures(checkpoint: Path) -> None:
    with pytest.raises(EdgePoseError, match="no calibration pictures"):
        onnx_int8.convert(*load_checkpoint(checkpoint), None, Options())


def test_crops_of_another_size_are_one_line(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    other = replace(info, input_size=(32, 32))
    with pytest.raises(EdgePoseError, match="cannot quantize") as caught:
        onnx_int8.convert(model, other, CalibrationSet("drawn", crops), Options())
    assert "\n" not in str(caught.value)


def outputs(converted: Converted, crops: Image) -> list[FloatArray]:
    """Each output for all crops."""
    session = onnxruntime.InferenceSession(converted.model)
    inputs = to_tensor(crops, converted.graph.input.spec)
    every = [session.run(list(converted.graph.names), {"image": one[None]}) for one in inputs]
    return [np.concatenate(output) for output in zip(*every, strict=True)]


@pytest.fixture(scope="module")
def variant(checkpoint_of: Callable[[str], Path], crops: Image) -> Callable[..., Converted]:
    """Convert a tiny network with other options than the default."""

    def make(name: str, **options: object) -> Converted:
        loaded = load_checkpoint(checkpoint_of(name))
        return onnx_int8.convert(*loaded, CalibrationSet("drawn", crops), Options(**options))

    return make


def activations(converted: Converted) -> set[int]:
    """Integer types of the activations' zero points, the pixels' left out."""
    graph = onnx.load_from_string(converted.model).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {kinds[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}


@pytest.mark.parametrize("name", ["tiny", "tiny_means"])
def test_signed_activations_for_arm64_give_the_same_heatmaps(
    convert: Callable[[str], Converted],
    variant: Callable[..., Converted],
    crops: Image,
    name: str,
) -> None:
    plain, signed = convert(name), variant(name, arch="arm64")
    assert (signed.arch, signed.scheme) == ("aarch64", "S8S8 per channel")
    assert activations(signed) == {onnx.TensorProto.INT8}
    assert signed.graph.input == plain.graph.input
    (ours,), (theirs,) = outputs(plain, crops), outputs(signed, crops)
    assert np.abs(ours - theirs).mean() < 0.01 * ours.std()


def test_unsigned_activations_for_x86(variant: Callable[..., Converted]) -> None:
    converted = variant("tiny", arch="AMD64")
    assert (converted.arch, converted.scheme) == ("x86_64", "U8S8 per channel")
    assert activations(converted) == {onnx.TensorProto.UINT8}


def test_signed_pixels_are_exact(variant: Callable[..., Converted]) -> None:
    graph = onnx.load_from_string(variant("tiny", arch="aarch64").model).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    first, second = graph.node[0], graph.node[1]
    assert [first.op_type, second.op_type] == ["DequantizeLinear", "QuantizeLinear"]
    pixels = np.arange(256)
    real = (pixels - int(values[first.input[2]])) * values[first.input[1]]
    stored = np.rint(real / values[second.input[1]]) + int(values[second.input[2]])
    np.testing.assert_array_equal(stored, pixels - 128)


def test_an_unknown_processor_is_a_usage_error(variant: Callable[..., Converted]) -> None:
    with pytest.raises(UsageError, match="processor of 8-bit ONNX 'armv7l': unknown"):
        variant("tiny", arch="armv7l")


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", ["tiny", "tiny_means"])
def test_folded_pixels_give_the_same_heatmaps(
    variant: Callable[..., Converted], crops: Image, name: str, arch: str
) -> None:
    plain, folded = variant(name, arch=arch), variant(name, arch=arch, fold=Fold(pixels=True))
    assert folded.graph.contains == ("normalization",)
    assert (folded.graph.input.dtype, folded.graph.input.layout) == ("uint8", "nhwc")
    (ours,), (theirs,) = outputs(plain, crops), outputs(folded, crops)
    # One normalises here, the other one in the graph: now and then a value rounds the other way.
    assert np.abs(ours - theirs).max() <= (0 if name == "tiny" else 0.1 * ours.std())


def test_whole_means_are_folded_without_arithmetic(variant: Callable[..., Converted]) -> None:
    graph = onnx.load_from_string(variant("tiny", fold=Fold(pixels=True)).model).graph
    assert [node.op_type for node in graph.node if "image" in node.input] == ["Transpose"]
    assert not {"Sub", "Mul", "Cast"} & {node.op_type for node in graph.node}


def test_a_folded_decoder_computes_in_float(
    variant: Callable[..., Converted], convert: Callable[[str], Converted], crops: Image
) -> None:
    folded = variant("tiny", fold=Fold(pixels=True, decoder=True))
    (found,) = outputs(folded, crops)
    (heatmaps,) = outputs(convert("tiny"), crops)
    keypoints, scores = decode_heatmaps(heatmaps, 4)
    np.testing.assert_allclose(found[..., :2], keypoints, atol=1e-3)
    np.testing.assert_allclose(found[..., 2], scores, atol=1e-5)


@pytest.mark.parametrize("method", onnx_int8.METHODS)
def test_every_way_to_find_ranges_keeps_the_heatmaps(
    variant: Callable[..., Converted], checkpoint: Path, crops: Image, method: str
) -> None:
    model, info = load_checkpoint(checkpoint)
    with torch.no_grad():
        expected = model(torch.from_numpy(to_tensor(crops, info.input_spec)))[-1].numpy()
    converted = variant("tiny", method=method)
    (found,) = outputs(converted, crops)
    assert converted.method == method
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_an_unknown_way_is_a_usage_error(variant: Callable[..., Converted]) -> None:
    with pytest.raises(UsageError, match="'Median': expected one of MinMax, Percentile, Entropy"):
        variant("tiny", method="Median")


class Spoiled(nn.Module):
    """Its second layer has a channel a thousand times the others, which nothing uses.

    One scale for the tensor cannot hold both, so the others lose nearly all their steps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU6())
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 16, 3, padding=1)
        with torch.no_grad():
            self.second.weight[0] *= 1000
            self.head.weight[:, 0] = 0

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.head(self.second(self.first(x)))]


def test_the_layer_that_suffers_is_found_and_left_float(crops: Image) -> None:
    torch.manual_seed(5)
    model, info = Spoiled().eval(), CheckpointInfo("tiny", "logits", (64, 64))
    calibration = CalibrationSet("drawn", crops)
    ranking = onnx_int8.rank_layers(model, info, calibration, Options())
    assert ranking == ("Conv_2", "Conv_0")
    worse = onnx_int8.convert(model, info, calibration, Options())
    better = onnx_int8.convert(model, info, calibration, Options(float_layers=ranking[:1]))
    assert better.float_layers == ranking[:1]
    with torch.no_grad():
        expected = model(torch.from_numpy(to_tensor(crops, info.input_spec)))[-1].numpy()
    errors = [np.abs(outputs(c, crops)[0] - expected).mean() for c in (worse, better)]
    assert errors[1] < 0.2 * errors[0]


def test_an_unknown_layer_is_one_line(variant: Callable[..., Converted]) -> None:
    with pytest.raises(EdgePoseError, match="float layer 'Conv_99': not a layer of the ONNX"):
        variant("tiny", float_layers=("Conv_99",))


def test_a_detector_and_its_heads() -> None:
    torch.manual_seed(0)
    info = CheckpointInfo("center_hourglass_s", "logits", (64, 64))
    model = info.build().eval()
    crops = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
    crops = crops.repeat(8, 1).repeat(8, 2)
    converted = onnx_int8.convert(model, info, CalibrationSet("noise", crops), Options())
    (found,) = outputs(converted, crops[:4])
    with torch.no_grad():
        image = torch.from_numpy(to_tensor(crops[:4], info.input_spec))
        expected = model(image)[-1].numpy()
    for channel in range(5):  # logit, offsets and sizes have ranges of their own
        ours, theirs = expected[:, channel], found[:, channel]
        assert np.abs(ours - theirs).mean() < 0.2 * ours.std(), channel
