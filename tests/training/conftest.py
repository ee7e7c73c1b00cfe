"""A tiny network and tiny data sets in their owners' layouts."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io
from torch import Tensor, nn

from edge_pose.skeleton import MPII16
from training.datasets.generated import write_generated
from training.recipe import Recipe, parse_recipe
from training.registry import MODELS, register_model

TINY = "tiny_for_training_tests"


class TinyNetwork(nn.Module):
    """Two convolutions and a head at stride 4: enough to learn something in a second."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU()
        )
        self.head = nn.Conv2d(32, 16, 5, padding=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.head(self.body(x))]


@pytest.fixture(autouse=True)
def tiny_model() -> Any:
    """Register the tiny network for one test only: tests over the whole registry never see it."""

    def tiny_for_training_tests() -> nn.Module:
        """Tiny network."""
        return TinyNetwork()

    register_model(input_size=(64, 64))(tiny_for_training_tests)
    yield TINY
    del MODELS[TINY]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder with mpii/: 24 drawn training and 8 validation persons."""
    root = tmp_path_factory.mktemp("data")
    write_generated(root, 24, 8, size=(160, 160))
    return root


@pytest.fixture
def lspet(tmp_path: Path) -> Path:
    """Data folder with lspet/: 40 persons, of which numbers 3 and 20 have no picture."""
    folder = tmp_path / "data" / "lspet"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    joints = np.zeros((14, 3, 40))
    for i in range(40):
        joints[:, :2, i] = rng.uniform(20, 100, (14, 2))
        joints[:, 2, i] = 1
        if i not in (3, 20):
            picture = rng.integers(0, 256, (120, 110, 3)).astype(np.uint8)
            cv2.imwrite(str(folder / "images" / f"im{i + 1:05d}.jpg"), picture)
    joints[4, 2, 0] = 0  # the first person's left knee is not annotated
    scipy.io.savemat(folder / "joints.mat", {"joints": joints})
    return tmp_path / "data"


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Data folder with coco/: one good person, one crowd, one with too few joints, one unseen."""
    folder = tmp_path / "data" / "coco"
    (folder / "train2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    cv2.imwrite(str(folder / "train2017" / "1.jpg"), np.full((100, 100, 3), 99, np.uint8))
    points = [[10 + 4 * i, 20 + 3 * i, 2] for i in range(17)]
    person = {
        "image_id": 1,
        "keypoints": [v for point in points for v in point],
        "num_keypoints": 17,
        "bbox": [5, 10, 40, 80],
        "iscrowd": 0,
    }
    few = [v if i < 9 else 0 for i, v in enumerate(person["keypoints"])]  # type: ignore[arg-type]
    entries = [
        {**person, "id": 11},
        {**person, "id": 12, "iscrowd": 1},
        {**person, "id": 13, "keypoints": few, "num_keypoints": 3},
        {**person, "id": 14, "image_id": 2},
    ]
    images = [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "gone.jpg"}]
    (folder / "annotations" / "person_keypoints_train2017.json").write_text(
        json.dumps({"images": images, "annotations": entries})
    )
    return tmp_path / "data"


Shares = dict[str, float]


@pytest.fixture
def percent_correct() -> Callable[..., Shares]:
    """Return a function that counts (N, 16) `present` and `right` joint by joint, in percent."""

    def count(present: Any, right: Any) -> Shares:
        shares = {}
        for joint, name in enumerate(MPII16.keypoints):
            hits = [bool(r[joint]) for p, r in zip(present, right, strict=True) if p[joint]]
            shares[name] = 100 * hits.count(True) / len(hits)
        twelve = [name for name in shares if name.startswith(("right_", "left_"))]
        fourteen = [*twelve, "head_top", "upper_neck"]
        shares["mean12"] = statistics.mean(shares[name] for name in twelve)
        shares["mean14"] = statistics.mean(shares[name] for name in fourteen)
        return shares

    return count


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """Return a function: a recipe for the tiny network on mpii, two epochs, with changes."""

    def make(**changes: Any) -> Recipe:
        values: dict[str, Any] = {
            "schema": "edge_pose.training/1",
            "model": TINY,
            "bf16": False,
            "batch_size": 8,
            "workers": 0,
            "datasets": {"mpii": 1},
            "stages": [{"epochs": 2, "input_side": 64}],
            "optimizer": {"warmup_steps": 2, "lr": 3e-3},
        }
        return parse_recipe({**values, **changes}, "test")

    return make
