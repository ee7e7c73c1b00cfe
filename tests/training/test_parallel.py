"""Two processes train as one: same steps, same weights, files written once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from torch.distributed.run import main as torchrun

from edge_pose.errors import UsageError
from training.parallel import Processes, open_processes
from training.tasks import build_task
from training.trainer import Trainer

assert torchrun  # the launcher that the documents name is installed

SCRIPT = """
import json, sys
from pathlib import Path
from rich.progress import Progress
from torch import nn
from training.parallel import open_processes
from training.recipe import parse_recipe
from training.registry import register_model
from training.tasks import build_task
from training.trainer import Trainer

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        norm = nn.BatchNorm2d(8) if sys.argv[5] == "norm" else nn.Identity()
        first, last = nn.Conv2d(3, 8, 5, 2, 2), nn.Conv2d(8, 16, 5, 2, 2)
        self.body = nn.Sequential(first, norm, nn.ReLU(), last)
    def forward(self, x):
        return [self.body(x)]

def tiny():
    "Tiny network."
    return Tiny()

register_model(input_size=(64, 64))(tiny)
recipe = parse_recipe(json.loads(sys.argv[1]), "test")
data, out = Path(sys.argv[2]), Path(sys.argv[3])
with open_processes("cpu") as processes, Progress(disable=True) as progress:
    trainer = Trainer(recipe, build_task(recipe, data), out, "cpu", processes)
    trainer.run(progress, int(sys.argv[4]) or None)
"""


def run(processes: int, recipe: Any, data: Path, out: Path, until: int = 0, norm: str = "") -> None:
    script = out.parent / "run.py"
    script.write_text(SCRIPT)
    values = json.loads(recipe(model="tiny", loss="mse").model_dump_json(by_alias=True))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    root = Path(__file__).parents[2]
    subprocess.run(
        [
            sys.executable,
            *(launcher if processes > 1 else []),
            str(script),
            json.dumps(values),
            str(data),
            str(out),
            str(until),
            norm,
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )


def test_two_processes_train_as_one_and_resume(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(1, recipe, generated, one)
    run(2, recipe, generated, two, until=1)
    run(2, recipe, generated, two)
    run(1, recipe, generated, tmp_path / "start", until=1)
    lines = [(out / "log.jsonl").read_text().splitlines() for out in (one, two)]
    alone, together = ([json.loads(line) for line in found] for found in lines)
    assert [record["step"] for record in together] == [3, 6]
    # "mse" is a mean over all maps: that of equal shares is that of the whole batch.
    for mine, theirs in zip(alone, together, strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)
    first, second = (load_file(out / "checkpoint.safetensors") for out in (one, two))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-5)
    moved = load_file(tmp_path / "start" / "checkpoint.safetensors")
    assert max(float((moved[n] - v).abs().max()) for n, v in first.items()) > 1e-3


def test_two_processes_with_batch_statistics_resume_exactly(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    straight, halting = tmp_path / "straight", tmp_path / "halting"
    run(2, recipe, generated, straight, norm="norm")
    run(2, recipe, generated, halting, until=1, norm="norm")
    run(2, recipe, generated, halting, norm="norm")
    one, two = (load_file(out / "checkpoint.safetensors") for out in (straight, halting))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert "body.1.running_mean" in one


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_processes("cpu") as processes:
        assert processes == Processes(0, 1, 0)
        assert processes.first


def test_a_torn_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="torchrun's environment"), open_processes("cpu"):
        pass


def test_a_world_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "x")
    with pytest.raises(UsageError, match="torchrun's environment"), open_processes("cpu"):
        pass


def test_a_batch_in_parts_is_the_same_batch(recipe: Any, generated: Path, tmp_path: Path) -> None:
    weights = []
    for accumulate in (1, 4):
        parts = recipe(accumulate=accumulate, loss="mse")
        trainer = Trainer(parts, build_task(parts, generated), tmp_path / str(accumulate), "cpu")
        with Progress(disable=True) as progress:
            trainer.run(progress, 1)
        weights.append(trainer.model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_divided(recipe: Any, generated: Path, tmp_path: Path) -> None:
    odd = recipe(accumulate=3)
    with pytest.raises(UsageError, match="batch_size 8: is not a multiple of accumulate 3 x 1"):
        Trainer(odd, build_task(odd, generated), tmp_path, "cpu")
