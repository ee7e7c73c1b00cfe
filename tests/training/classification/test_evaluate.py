"""Top-1 and top-5 by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from training.checkpoint import CheckpointInfo
from training.classification.evaluate import evaluate, label_ranks
from training.datasets import DatasetError

INFO = CheckpointInfo("efficientnet_bm4", "logits", (32, 32), model_args={"classes": 100})
CLASSES = 100


class ReadsRed(nn.Module):
    """Scores the classes whose number is near the picture's red value."""

    def __init__(self, shift: int = 0, classes: int = CLASSES) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(float(shift)))
        self.classes = classes

    def forward(self, x: Tensor) -> list[Tensor]:
        std, mean = 255 * 0.229, 255 * 0.485
        red = x[:, 0].mean((1, 2)) * std + mean + self.shift
        # Steps of 1.01 break ties between the neighbours on both sides.
        distance = torch.arange(self.classes)[None] - red[:, None]
        return [-torch.where(distance < 0, -1.01 * distance, distance)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Data folder with five test rows: red is the label, but by 0, 1, -1, 2 and 3 off."""
    folder = tmp_path / "cifar100"
    folder.mkdir()
    (folder / "fine_label_names.txt").write_text("\n".join(f"c{i}" for i in range(CLASSES)))
    rows = np.zeros((5, 3074), np.uint8)
    for row, off in zip(rows, (0, 1, -1, 2, 3), strict=True):
        row[1], row[2 : 2 + 1024] = 50, 50 + off
    (folder / "test.bin").write_bytes(rows.tobytes())
    return tmp_path


def test_ranks_by_hand() -> None:
    logits = torch.tensor(
        [[3.0, 1, 2], [1, 3, 2], [1, 1, 0], [float("nan"), 0, 0], [float("nan")] * 3]
    )
    assert label_ranks(logits, torch.tensor([0, 2, 0, 1, 0])).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("batch", [64, 2])
def test_figures_by_hand(data: Path, batch: int) -> None:
    # Off by 0: first. By 1: second or third. By 2: fourth or fifth. By 3: sixth or seventh.
    result = evaluate(ReadsRed(), INFO, "cifar100", data, batch=batch)
    assert result == {
        "model": "efficientnet_bm4",
        "dataset": "cifar100",
        "input_size": [32, 32],
        "n": 5,
        "top1": 20.0,
        "top5": 80.0,
    }
    json.dumps(result, allow_nan=False)
    # One less everywhere: 0 -> -1, 1 -> 0, -1 -> -2, 2 -> 1, 3 -> 2.
    result = evaluate(ReadsRed(-1), INFO, "cifar100", data, batch=batch)
    assert (result["top1"], result["top5"]) == (20.0, 100.0)


def test_the_network_is_left_in_evaluation_mode(data: Path) -> None:
    model = ReadsRed().train()
    evaluate(model, INFO, "cifar100", data)
    assert not model.training


def test_who_cannot_decide_is_wrong(data: Path) -> None:
    class Same(ReadsRed):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [torch.zeros(len(x), CLASSES)]

    result = evaluate(Same(), INFO, "cifar100", data)
    assert (result["top1"], result["top5"]) == (0, 0)


def test_mismatches_are_one_line(data: Path) -> None:
    with pytest.raises(UsageError, match="efficientnet_bm4: has 10 classes, cifar100 has 100"):
        evaluate(ReadsRed(classes=10), INFO, "cifar100", data)
    with pytest.raises(UsageError, match="data set for classifiers 'mpii': unknown"):
        evaluate(ReadsRed(), INFO, "mpii", data)
    with pytest.raises(DatasetError, match="not found"):
        evaluate(ReadsRed(), INFO, "imagenet", data)
