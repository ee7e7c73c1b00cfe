"""Two tiny networks, their checkpoints and drawn people: real conversions in seconds."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from converters import cli
from converters.calibration import draw_calibration
from converters.data import ConversionData, open_data
from converters.terminal import ALTERNATIVES, PACKAGES
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import MODELS, get_model, register_model

INPUT_PX = 64


class TinyNetwork(nn.Module):
    """Three convolutions; the last weights are large, so that peaks stand out untrained."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(inplace=True),
            nn.Conv2d(24, 24, 5, stride=2, padding=2, groups=24),
            nn.ReLU6(inplace=True),
        )
        self.head = nn.Conv2d(24, 16, 3, padding=1)
        nn.init.normal_(self.head.weight, std=2.0)

    def forward(self, x: Tensor) -> list[Tensor]:
        heatmaps = self.head(self.body(x))
        return [torch.zeros_like(heatmaps), heatmaps]  # only the last stage is the prediction


def tiny() -> nn.Module:
    """Takes pixels when quantized: its mean is one whole number."""
    return TinyNetwork()


def tiny_means() -> nn.Module:
    """Has a mean per channel, so its input stays float."""
    return TinyNetwork()


@pytest.fixture(autouse=True, scope="module")
def _tiny_networks() -> Iterator[None]:
    get_model("hourglass_lite_s")  # fills the table, before something is added to it
    size = (INPUT_PX, INPUT_PX)
    register_model(input_size=size, mean=(127.0,) * 3, std=(128.0,) * 3)(tiny)
    register_model(input_size=size, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))(tiny_means)
    yield
    del MODELS["tiny"], MODELS["tiny_means"]


@pytest.fixture(autouse=True)
def _no_data_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_POSE_DATA", raising=False)


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a checkpoint that names a model and holds an untrained tiny network."""

    folder = tmp_path_factory.mktemp("checkpoints")

    def make(model: str) -> Path:
        torch.manual_seed(3)
        info = CheckpointInfo(
            model=model,
            heatmap_kind="logits",
            input_size=(INPUT_PX, INPUT_PX),
            recipe={"seed": 3},
            trained_on={"mpii": "8A=="},
            data_sha256="cd" * 32,
        )
        path = folder / f"{model}.safetensors"
        save_checkpoint(path, TinyNetwork().state_dict(), info)
        return path

    return make


@pytest.fixture(scope="session")
def checkpoint(checkpoint_of: Callable[[str], Path]) -> Path:
    return checkpoint_of("tiny")


@pytest.fixture(scope="session")
def crops(drawn: ConversionData) -> Image:
    """Calibration crops, (32, 64, 64, 3)."""
    group, size = drawn.calibration, (INPUT_PX, INPUT_PX)
    return draw_calibration(group.persons, group.dataset, size, 32, seed=1).crops


@pytest.fixture(scope="session")
def drawn() -> Iterator[ConversionData]:
    """Drawn people: 32 to calibrate with, more than 100 to measure on."""
    with open_data(None, generated=True, n_images=32) as data:
        yield data


@pytest.fixture
def no_pictures(drawn: ConversionData) -> ConversionData:
    """Nobody to calibrate with."""
    return replace(drawn, calibration=replace(drawn.calibration, dataset="", persons=()))


@pytest.fixture
def leftovers(tmp_path: Path) -> Callable[[], list[str]]:
    """List what lies in tmp_path, hidden or not."""

    def names() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    return names


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run edge-pose-convert in this process; return exit code, stdout and stderr."""
    loggers = [logging.getLogger(name) for name in (*PACKAGES, ALTERNATIVES)]
    levels, root = [logger.level for logger in loggers], logging.getLogger()
    before = list(root.handlers)

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edge-pose-convert", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    yield call
    root.handlers[:] = [handler for handler in root.handlers if handler in before]
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)  # the program sets them for good
