from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from converters import onnx_fp16, torch_onnx
from converters.base import Converted, Options
from converters.export_graph import Fold
from converters.onnx_nodes import float_nodes
from edge_pose.decoding.heatmap import decode_heatmaps
from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import to_tensor
from edge_pose.types import Image
from training.checkpoint import load_checkpoint

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


@pytest.fixture(scope="module")
def converted(checkpoint: Path) -> Converted:
    return onnx_fp16.convert(*load_checkpoint(checkpoint), None, Options())


def test_same_peaks_as_torch(checkpoint: Path, converted: Converted, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    images = to_tensor(crops, info.input_spec)
    with torch.no_grad():
        expected = model(torch.from_numpy(images))[-1].numpy()
    session = onnxruntime.InferenceSession(converted.model)
    found = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    assert found.dtype == np.float32
    error = np.abs(found - expected)
    assert 0 < error.max() < 0.01 * expected.std()  # it is rounded, and little
    ours, theirs = (maps.reshape(*maps.shape[:2], -1).argmax(2) for maps in (expected, found))
    assert (ours == theirs).mean() > 0.99


def test_weights_are_halves_and_inputs_and_outputs_float(converted: Converted) -> None:
    assert (converted.format, converted.precision) == ("onnx", "fp16")
    graph = onnx.load_from_string(converted.model).graph
    assert [v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)] == [FLOAT, FLOAT]
    kinds = Counter(t.data_type for t in graph.initializer if len(t.dims) == 4)
    assert kinds == {HALF: 2, FLOAT: 1}  # the last layer, whose result is the heatmaps
    casts = [node for node in graph.node if node.op_type == "Cast"]
    assert [list(casts[0].input), len(casts)] == [["image"], 2]
    assert list(graph.node[-1].output) == ["heatmaps"]
    assert graph.node[-1].op_type == "Conv"


def test_folded_parts_are_not_rounded(checkpoint: Path, crops: Image) -> None:
    model, info = load_checkpoint(checkpoint)
    options = Options(fold=Fold(pixels=True, decoder=True))
    halves = onnx_fp16.convert(model, info, None, options)
    plain = onnx_fp16.convert(model, info, None, Options())
    decoded = onnxruntime.InferenceSession(halves.model)
    heatmaps = onnxruntime.InferenceSession(plain.model)
    for crop in crops[:4]:
        pixels = to_tensor(crop[None], halves.graph.input.spec)
        image = to_tensor(crop[None], plain.graph.input.spec)
        (found,) = decoded.run(["keypoints"], {"image": pixels})
        (maps,) = heatmaps.run(["heatmaps"], {"image": image})
        # Of the same heatmaps: a decoder in 16 bits would be off by up to 0.03 px at 60 px.
        np.testing.assert_allclose(found[..., :2], decode_heatmaps(maps, 4)[0], atol=2e-3)


class TwoHeads(nn.Module):
    """As in a bottom-up network, an output goes on; as in a detector, one is put together."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.third = nn.Conv2d(12, 2, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self.first(x).relu()
        coarse = self.second(features)
        fine = self.third(torch.cat([features, coarse], 1))
        return coarse, torch.cat([fine[:, :1], 16 * fine[:, 1:]], 1)


def test_outputs_that_other_nodes_use_keep_their_names() -> None:
    torch.manual_seed(0)
    model, image = TwoHeads(), torch.randn(1, 3, 16, 16)
    graph = torch_onnx.export(model, image, ("coarse", "fine"))
    kinds = {node.name: node.op_type for node in graph.graph.node}
    kept = [kinds[name] for name in float_nodes(graph.graph)]
    assert kept == ["Conv", "Conv", "Slice", "Slice", "Mul", "Concat"]
    session = onnxruntime.InferenceSession(onnx_fp16.to_half(graph).SerializeToString())
    found = session.run(["coarse", "fine"], {"image": image.numpy()})
    with torch.no_grad():
        expected = [output.numpy() for output in model(image)]
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=0.005 * np.abs(ours).max())


def test_same_bytes_again_in_silence(
    checkpoint: Path, converted: Converted, capfd: pytest.CaptureFixture[str]
) -> None:
    again = onnx_fp16.convert(*load_checkpoint(checkpoint), None, Options())
    assert again.model == converted.model
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_converted_is_one_line() -> None:
    with pytest.raises(EdgePoseError, match="ONNX to fp16: cannot convert: ") as caught:
        onnx_fp16.to_half(onnx.ModelProto())
    assert "\n" not in str(caught.value)


def test_the_first_and_the_last_nodes_stay_float(checkpoint: Path) -> None:
    model, info = load_checkpoint(checkpoint)
    plain = onnx.load_from_string(torch_onnx.convert(model, info, None, Options()).model).graph
    kinds = {node.name: node.op_type for node in plain.node}
    assert [kinds[name] for name in float_nodes(plain)] == ["Conv"]
    options = Options(fold=Fold(pixels=True, decoder=True))
    folded = onnx.load_from_string(torch_onnx.convert(model, info, None, options).model).graph
    kinds = {node.name: node.op_type for node in folded.node}
    kept = [kinds[name] for name in float_nodes(folded)]
    assert kept[:4] == ["Transpose", "Cast", "Sub", "Mul"]
    assert kept[4] == "Conv"
    assert kept[-1] == "Concat"
    assert [kinds[n] for n in kinds if n not in float_nodes(folded)] == [
        "Conv", "Clip", "Conv", "Clip",
    ]  # fmt: skip
