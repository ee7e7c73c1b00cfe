"""Teachers give MPII's joints in the crop's px, whatever they are and whatever they look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from edge_pose.errors import EdgePoseError
from edge_pose.skeleton import COCO17, MPII16
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model
from training.teaching.teachers import HeatmapTeacher, MoveNetTeacher, open_teacher, resize

FILES = Path(__file__).parents[2] / "fixtures" / "tflite"
COMMON = np.isin(MPII16.keypoints, COCO17.keypoints)


def blob_crop(side: int) -> Image:
    """Red at a quarter, green in the middle, blue at three quarters of the side."""
    image = np.zeros((side, side, 3), np.uint8)
    for channel, place in ((2, 0.25), (1, 0.5), (0, 0.75)):
        center = round(place * side - 0.5)
        color = tuple(255 if c == channel else 0 for c in range(3))
        cv2.circle(image, (center, center), side // 16, color, cv2.FILLED)
    return image


@pytest.mark.parametrize("side", [64, 100])
def test_an_artifact_is_a_teacher(tiny_artifact: Path, side: int) -> None:
    teacher = open_teacher(str(tiny_artifact))
    assert isinstance(teacher, HeatmapTeacher)
    assert teacher.knows.all()
    keypoints, scores = teacher.keypoints(blob_crop(side)[None])
    assert scores.min() > 0.9
    expected = np.repeat([0.25, 0.5, 0.75], [5, 6, 5]) * side - 0.5
    assert np.abs(keypoints[0] - expected[:, None]).max() < 0.02 * side


def test_a_checkpoint_is_a_teacher(tmp_path: Path, tiny_model: str) -> None:
    file = tmp_path / "checkpoint.safetensors"
    info = CheckpointInfo(tiny_model, "logits", (64, 64), trained_on={"mpii": "gA=="})
    save_checkpoint(file, get_model(tiny_model).build().state_dict(), info)
    teacher = open_teacher(str(file))
    assert isinstance(teacher, HeatmapTeacher)
    assert teacher.trained_on == {"mpii": "gA=="}
    keypoints, scores = teacher.keypoints(np.stack([blob_crop(48), blob_crop(48) // 2]))
    assert (keypoints.shape, scores.shape) == ((2, 16, 2), (2, 16))


def test_a_peer_gives_the_joints_that_coco_and_mpii_share(need: Callable[[str], object]) -> None:
    need("ai_edge_litert")
    teacher = open_teacher(str(FILES / "keypoints17.tflite"))
    assert isinstance(teacher, MoveNetTeacher)
    assert teacher.input_size == (32, 32)
    assert np.array_equal(teacher.knows, COMMON)
    # The file adds a tenth of the mean red, green and blue to y, x and score.
    red = np.zeros((1, 64, 64, 3), np.uint8)
    red[..., 2] = 255
    keypoints, scores = teacher.keypoints(red)
    for name in ("left_shoulder", "right_ankle"):
        i, joint = COCO17.index(name), MPII16.index(name)
        x, y = (0.9 - 0.05 * i) * 64 - 0.5, (0.1 + 0.05 * i + 0.1) * 64 - 0.5
        assert np.abs(keypoints[0, joint] - (x, y)).max() < 0.01
        assert scores[0, joint] == pytest.approx(0.2 + 0.025 * i)
    assert not scores[0, ~COMMON].any()


def test_a_peer_may_be_an_onnx_file(tmp_path: Path, need: Callable[[str], ModuleType]) -> None:
    need("onnxruntime")
    onnx = need("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    fixed = np.full((1, 1, 17, 3), 0.25, np.float32)
    nodes = [
        helper.make_node("Cast", ["picture"], ["real"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Div", ["mean", "full"], ["share"]),
        helper.make_node("Add", ["share", "fixed"], ["keypoints"]),
    ]
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("picture", kinds.INT32, [1, 32, 32, 3])],
        [helper.make_tensor_value_info("keypoints", kinds.FLOAT, [1, 1, 17, 3])],
        [
            onnx.numpy_helper.from_array(fixed, "fixed"),
            onnx.numpy_helper.from_array(np.array([510], np.float32), "full"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    file = tmp_path / "peer.onnx"
    file.write_bytes(model.SerializeToString())
    teacher = open_teacher(str(file))
    keypoints, scores = teacher.keypoints(np.full((2, 32, 32, 3), 255, np.uint8))
    assert np.abs(keypoints[:, COMMON] - (0.75 * 32 - 0.5)).max() < 1e-3
    assert np.allclose(scores[:, COMMON], 0.75)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blobs_float32.tflite", r"gives \[\[1, 16, 16, 16\]\]; the only peer known here is"),
        ("missing.tflite", "missing.tflite: cannot be read: No such file"),
        ("missing.onnx", "missing.onnx: cannot be read: No such file"),
        ("missing", "neither a shipped model nor a folder"),
    ],
)
def test_what_is_no_teacher_is_refused_in_one_line(
    name: str, message: str, need: Callable[[str], object]
) -> None:
    need("ai_edge_litert")
    with pytest.raises(EdgePoseError, match=message) as error:
        open_teacher(str(FILES / name))
    assert "\n" not in str(error.value)


def test_a_damaged_onnx_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "peer.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(EdgePoseError, match="refuses it: ") as error:
        open_teacher(str(file))
    assert "\n" not in str(error.value)


def test_resizing_keeps_places() -> None:
    crops = np.stack([blob_crop(100)])
    assert resize(crops, (100, 100)) is crops
    small = resize(crops, (50, 50))
    rows = torch.from_numpy(small[0, :, :, 2].astype(np.float32)).sum(dim=1)
    center = float((rows * torch.arange(50)).sum() / rows.sum())
    assert center == pytest.approx(0.25 * 50 - 0.5, abs=0.3)
