"""What peers are given and how their numbers are read, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.peers_measure import to_mpii
from benchmarks.peers_models import BLAZEPOSE, MOVENET, Peer, open_peer
from edge_pose.backends.tflite import Graph, GraphTensor
from edge_pose.errors import BackendError
from edge_pose.estimator import Stopwatch
from edge_pose.preprocess import Region
from edge_pose.skeleton import COCO17, MPII16

FILES = Path(__file__).parents[1] / "fixtures" / "tflite"
MOVENET_LIKE = FILES / "keypoints17.tflite"
# MediaPipe's names of the landmarks, from its documentation.
LANDMARK = {
    "nose": 0, "left_eye": 2, "right_eye": 5, "left_ear": 7, "right_ear": 8,
    "left_shoulder": 11, "right_shoulder": 12, "left_elbow": 13, "right_elbow": 14,
    "left_wrist": 15, "right_wrist": 16, "left_hip": 23, "right_hip": 24, "left_knee": 25,
    "right_knee": 26, "left_ankle": 27, "right_ankle": 28,
}  # fmt: skip


def tensor(shape: tuple[int, ...], dtype: str = "float32") -> GraphTensor:
    return GraphTensor(0, "x", shape, np.dtype(dtype), 0.0, 0)


class LandmarkGraph(Graph):
    """A graph of BlazePose's signature, whose landmark i is at (i + 0.5, 2 i + 0.5) px."""

    def __init__(self) -> None:
        self.version = "test"
        self.inputs = (tensor((1, 256, 256, 3)),)
        self.outputs = tuple(tensor(shape) for shape in BLAZEPOSE.outputs)
        self.given: NDArray[Any] | None = None
        self.closed = False

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        self.given = tensor
        marks = np.zeros((39, 5), np.float32)
        marks[:, 0] = np.arange(39) + 0.5
        marks[:, 1] = 2 * np.arange(39) + 0.5
        marks[:, 3] = -np.log(3.0)  # visibility as a logit: 0.25
        return [marks.reshape(1, 195)]

    def close(self) -> None:
        self.closed = True


def test_movenet_gives_y_and_x_in_shares_of_the_side() -> None:
    peer = open_peer(MOVENET_LIKE.read_bytes(), MOVENET, 1, "here")
    assert peer.input_size == (32, 32)
    assert peer.keypoint_format is COCO17
    # The crop of 64 px around (99.5, 49.5) is twice the input: share s is 64 · s px from its edge,
    # and the edge is half a pixel before the first centre.
    watch = Stopwatch()
    black = np.zeros((100, 200, 3), np.uint8)
    pose = peer.estimate(black, Region((99.5, 49.5), (64.0, 64.0)), watch)
    i = np.arange(17)
    np.testing.assert_allclose(pose.keypoints[:, 0], 67.5 + 64 * (0.9 - 0.05 * i), atol=1e-3)
    np.testing.assert_allclose(pose.keypoints[:, 1], 17.5 + 64 * (0.1 + 0.05 * i), atol=1e-3)
    np.testing.assert_allclose(pose.scores, 0.2 + 0.025 * i, atol=1e-6)
    assert list(watch.stage_s) == ["preprocess", "infer", "decode"]
    # Green adds a tenth of its mean to the score, red to y, blue to x: it is given RGB.
    red = np.zeros((100, 200, 3), np.uint8)
    red[:, :, 2] = 255
    moved = peer.estimate(red, Region((99.5, 49.5), (64.0, 64.0)))
    np.testing.assert_allclose(moved.keypoints[:, 1] - pose.keypoints[:, 1], 6.4, atol=1e-3)
    np.testing.assert_allclose(moved.keypoints[:, 0], pose.keypoints[:, 0], atol=1e-3)
    peer.close()


def test_blazepose_gives_landmarks_in_px() -> None:
    graph = LandmarkGraph()
    peer = Peer(graph, BLAZEPOSE)
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, :] = (51, 102, 255)  # blue, green, red
    pose = peer.estimate(image, Region((127.5, 127.5), (256.0, 256.0)))
    assert graph.given is not None
    assert graph.given.shape == (1, 256, 256, 3)
    np.testing.assert_allclose(graph.given[0, 9, 9], [1.0, 0.4, 0.2], atol=1e-6)
    for name, mark in LANDMARK.items():
        found = pose.keypoints[COCO17.index(name)]
        np.testing.assert_allclose(found, [mark, 2 * mark], atol=1e-4)
    np.testing.assert_allclose(pose.scores, 0.25, atol=1e-6)
    np.testing.assert_allclose(pose.bbox_xyxy, [0, 0, 28, 56], atol=1e-4)
    peer.close()
    assert graph.closed


def test_a_file_of_another_kind_is_refused() -> None:
    data = (FILES / "blobs_float32.tflite").read_bytes()
    with pytest.raises(BackendError, match=r"^x: takes \[1, 64, 64, 3\] float32 and gives"):
        open_peer(data, MOVENET, 1, "x")
    with pytest.raises(BackendError, match=r"BlazePose takes \[1, side, side, 3\] and gives"):
        open_peer(MOVENET_LIKE.read_bytes(), BLAZEPOSE, 1, "x")
    with pytest.raises(BackendError, match="x: LiteRT refuses it"):
        open_peer(b"nothing", MOVENET, 1, "x")


def test_joints_are_matched_by_name() -> None:
    found = to_mpii(np.arange(34, dtype=np.float32).reshape(17, 2), COCO17)
    assert found[MPII16.index("right_ankle")].tolist() == [32.0, 33.0]
    assert found[MPII16.index("left_shoulder")].tolist() == [10.0, 11.0]
    known = ~np.isnan(found).any(axis=1)
    unknown = {name for name, there in zip(MPII16.keypoints, known, strict=True) if not there}
    assert unknown == {"pelvis", "thorax", "upper_neck", "head_top"}
    own = np.arange(32, dtype=np.float32).reshape(16, 2)
    np.testing.assert_array_equal(to_mpii(own, MPII16), own)
