"""Detectors: letterbox, decoding back to the picture, and an exported peer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import apply_affine
from edge_pose.types import Image
from edge_pose.whole_picture import letterbox
from training.checkpoint import CheckpointInfo
from training.datasets.boxes import as_boxes
from training.detection.detectors import CenterDetector, RtmDet, non_maximum_suppression
from training.predictors import NetworkPredictor


class Bright(nn.Module):
    """Takes the brightest px for a centre of 32×16 px, 2 map px right of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> list[Tensor]:
        small = nn.functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4)
        ones = torch.ones_like(small)
        return [torch.cat([8 * small, 2 * ones, 0 * ones, 8 * ones, 4 * ones], 1)]


def test_letterbox_keeps_the_whole_picture() -> None:
    matrix = letterbox((641, 321), (320, 320))
    corners = np.array([[-0.5, -0.5], [640.5, 320.5]], np.float32)
    top = (320 - 320 * 321 / 641) / 2
    expected = np.array([[-0.5, top - 0.5], [319.5, 319.5 - top]])
    assert apply_affine(corners, matrix) == pytest.approx(expected, abs=1e-3)


def test_boxes_come_back_to_the_picture() -> None:
    image = np.zeros((128, 256, 3), np.uint8)
    image[40:56, 96:112] = 255  # at half the size: one map px, columns 48 … 55 of the input
    info = CheckpointInfo("center_hourglass_s", "logits", (128, 128))
    boxes, scores = CenterDetector(NetworkPredictor(Bright(), info))(image)
    assert scores[0] > 0.99
    # Centre at the middle of map px (12.5, …) + 2, that is input px 57.5 and picture px 115.5.
    assert boxes[0] == pytest.approx([115.5 - 32, 47.5 - 16, 115.5 + 32, 47.5 + 16], abs=4.01)
    assert boxes[0, 2] - boxes[0, 0] == pytest.approx(64, abs=0.01)
    image[:] = 255
    boxes, _ = CenterDetector(NetworkPredictor(Bright(), info).resized((64, 64)))(image)
    assert (boxes >= -0.5).all()
    assert (boxes <= np.array([255.5, 127.5] * 2)).all()


def test_overlapping_boxes_are_one() -> None:
    boxes = as_boxes([[0, 0, 10, 10], [0, 0, 10, 9], [8, 0, 18, 10], [0, 0, 10, 10]])
    scores = np.array([0.5, 0.9, 0.8, 0.5], np.float32)
    assert non_maximum_suppression(boxes, scores, 0.6) == [1, 2]
    assert non_maximum_suppression(as_boxes([]), scores[:0], 0.6) == []


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """An ONNX model with RTMDet's outputs, whatever it is shown: two people and a dog."""
    dets = [[8, 16, 24, 48, 0.5], [10, 20, 30, 60, 0.9], [0, 0, 9, 9, 0.8], [0, 0, 5, 5, 0.01]]
    constants = [
        helper.make_tensor("dets_", TensorProto.FLOAT, (1, 4, 5), np.ravel(dets).tolist()),
        helper.make_tensor("labels_", TensorProto.INT64, (1, 4), [0, 0, 16, 0]),
    ]
    nodes: list[Any] = [
        helper.make_node("ReduceMax", ["input"], ["top"], keepdims=0),
        helper.make_node("Sub", ["top", "top"], ["zero"]),
        helper.make_node("Add", ["dets_", "zero"], ["dets"]),
        helper.make_node("Identity", ["labels_"], ["labels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("dets", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("labels", TensorProto.INT64, None),
        ],
        constants,
    )
    file = tmp_path / "peer.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, file)
    return file


def gray(width: int, height: int) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


def test_a_peer_in_px_of_the_picture(peer: Path) -> None:
    boxes, scores = RtmDet(peer, (64,))(gray(128, 96))
    assert scores == pytest.approx([0.9, 0.5])
    # The picture was shown at half its size; edges count from the corner of the first pixel.
    expected = np.array([[19.5, 39.5, 59.5, 95.5], [15.5, 31.5, 47.5, 95.5]])
    assert boxes == pytest.approx(expected)
    both, scores = RtmDet(peer, (64, 128))(gray(128, 96))
    assert len(both) == 4  # at its own size the same answer means other people
    assert (np.diff(scores) <= 0).all()


def test_no_peer_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "gone.onnx"
    with pytest.raises(EdgePoseError, match="no such ONNX model"):
        RtmDet(file)
    file.write_text("no model")
    with pytest.raises(EdgePoseError, match="not an ONNX model that runs here"):
        RtmDet(file)
    node = helper.make_node("Relu", ["x"], ["y"])
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    graph = helper.make_graph([node], "other", value[:1], value[1:])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), file)
    with pytest.raises(EdgePoseError, match="expected dets and labels"):
        RtmDet(file)
