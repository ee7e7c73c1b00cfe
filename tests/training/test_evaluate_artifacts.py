"""`edge-pose-train evaluate` measures artifacts of every task as it measures their checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from converters import torch_onnx
from converters.base import Options
from converters.manifest import describe
from edge_pose.artifact import write_manifest
from edge_pose.errors import UsageError
from training.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint, sha256_file
from training.cli import cli
from training.registry import MODELS, register_model


class TinyCrowd(nn.Module):
    """Heatmaps that differ from picture to picture; all tags are 0, so grouping knows no ties."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 16, 2, 2)
        self.coarse = nn.Conv2d(3, 32, 4, 4)
        with torch.no_grad():
            self.coarse.weight[16:] = 0
            self.coarse.bias[16:] = 0

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.coarse(x), self.fine(x)]


class TinyDetector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 5, 4, 4)
        self.register_buffer("size", torch.tensor([0.0, 0, 0, 8, 8]).view(1, 5, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.maps(x) + self.size]


def tiny_crowd() -> nn.Module:
    """Bottom-up."""
    return TinyCrowd()


def tiny_boxes() -> nn.Module:
    """Detector."""
    return TinyDetector()


@pytest.fixture(autouse=True)
def _networks() -> Iterator[None]:
    size = (64, 64)
    register_model(task="bottom_up", input_size=size, heatmap_kind="gaussian")(tiny_crowd)
    register_model(task="detector", input_size=size)(tiny_boxes)
    yield
    del MODELS["tiny_crowd"], MODELS["tiny_boxes"]


@pytest.fixture
def pair(tmp_path: Path) -> Callable[[str, str], tuple[Path, Path]]:
    """Write a checkpoint and its artifact."""

    def make(name: str, kind: str) -> tuple[Path, Path]:
        torch.manual_seed(1)
        file, folder = tmp_path / f"{name}.safetensors", tmp_path / name
        info = CheckpointInfo(model=name, heatmap_kind=kind, input_size=(64, 64))
        save_checkpoint(file, info.build().state_dict(), info)
        model, info = load_checkpoint(file)
        made = torch_onnx.convert(model, info, None, Options())
        folder.mkdir()
        (folder / made.file_name).write_bytes(made.model)
        write_manifest(folder, describe(model, info, sha256_file(file), made, None))
        return file, folder

    return make


def run(*args: object) -> Any:
    return CliRunner().invoke(cli, ["evaluate", *map(str, args)])


def figures(path: Path, data: Path, *args: object) -> dict[str, Any]:
    result = run(path, "--data", data, "--dataset", "mpii", "--json", *args)
    assert result.exit_code == 0, result.exception
    values: dict[str, Any] = json.loads(result.output)
    assert values.pop("model")
    return values


@pytest.mark.parametrize("flags", [(), ("--flip-test",)])
def test_bottom_up(
    pair: Callable[..., tuple[Path, Path]], generated: Path, flags: tuple[str, ...]
) -> None:
    checkpoint, artifact = pair("tiny_crowd", "gaussian")
    expected, found = (figures(path, generated, *flags) for path in (checkpoint, artifact))
    assert expected["n"] == 8
    assert expected.pop("scales") == found.pop("scales") == [1.0]
    assert found == pytest.approx(expected, abs=0.2)


def test_detector(pair: Callable[..., tuple[Path, Path]], generated: Path) -> None:
    checkpoint, artifact = pair("tiny_boxes", "logits")
    expected, found = (figures(path, generated) for path in (checkpoint, artifact))
    assert expected["boxes_per_picture"] > 1
    assert found == expected


def test_an_artifact_has_one_input_size(
    pair: Callable[..., tuple[Path, Path]], generated: Path
) -> None:
    checkpoint, artifact = pair("tiny_crowd", "gaussian")
    assert figures(checkpoint, generated, "--scale", 1, "--scale", 2)["scales"] == [1.0, 2.0]
    refused = run(artifact, "--data", generated, "--scale", 1, "--scale", 2)
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == "artifact tiny_crowd_fp32: takes inputs of 64×64 px only"


def test_options_of_another_task(pair: Callable[..., tuple[Path, Path]], generated: Path) -> None:
    _, artifact = pair("tiny_boxes", "logits")
    refused = run(artifact, "--data", generated, "--flip-test")
    assert "--flip-test: a detector network has no such evaluation" in str(refused.exception)
