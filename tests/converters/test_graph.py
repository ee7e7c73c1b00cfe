"""Plain graphs of networks that have no artifact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from converters import graph
from converters.graph import write_graph
from edge_pose.errors import EdgePoseError
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    name = "center_hourglass_s"
    file = tmp_path / "detector.safetensors"
    state = get_model(name).build().state_dict()
    save_checkpoint(file, state, CheckpointInfo(name, "logits", (64, 96)))
    return file


def convert(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from converters.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_detector_as_a_graph(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "detector.onnx"
    arguments = ("--checkpoint", checkpoint, "--out", out)
    done = convert(*arguments, "--graph-only", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outputs"] == {"detector_0": [1, 5, 24, 16]}
    assert 0 <= result["difference"] < 1e-4
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 3, 96, 64]


def test_a_graph_that_differs_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(graph._AsTuple):
        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            return tuple(1.01 * output for output in self.model(image))

    monkeypatch.setattr(graph, "_AsTuple", Wrong)
    with pytest.raises(EdgePoseError, match=r"the graph differs from torch by 1\.0e-02"):
        write_graph(checkpoint, tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()
