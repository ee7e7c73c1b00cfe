"""The tool that tells how small a damage the gate refuses."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOTHING = {"gain": 1.0, "push_scores": 1.0}  # strengths that change nothing; of others: 0
SHAPES = {
    "top_down": [(16, 12, 12)],
    "bottom_up": [(32, 12, 12), (16, 24, 24)],
    "detector": [(5, 12, 12)],
}
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    monkeypatch.setattr(sys, "path", list(sys.path))

    def module(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    yield module
    for name in ("gate_faults", "gate_power"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("task", list(SHAPES))
def test_a_fault_grows_with_its_strength(load: Load, task: str) -> None:
    faults = load("gate_faults")
    rng = np.random.default_rng(0)
    pictures = [[rng.normal(size=s).astype(np.float32) for s in SHAPES[task]] for _ in range(6)]
    setting = faults.Setting(
        task=task,
        logits=task != "bottom_up",
        channels=(3, 4),
        input_px=48,
        spread=[np.ones((s[0], 1, 1), np.float32) for s in SHAPES[task]],
        pictures=pictures,
        index=0,
    )

    def change(fault: Any, strength: float) -> float:
        total = 0.0
        for index, outputs in enumerate(pictures):
            copies = [output.copy() for output in outputs]
            found = fault.plant(copies, strength, replace(setting, index=index))
            assert [(f.shape, f.dtype) for f in found] == [(o.shape, o.dtype) for o in outputs]
            total += sum(float(np.abs(f - o).sum()) for f, o in zip(found, outputs, strict=True))
        return total

    planted = {name: fault for name, fault in faults.FAULTS.items() if fault.plant}
    assert len(planted) == 10
    for name, fault in planted.items():
        assert change(fault, NOTHING.get(fault.plant.__name__, 0.0)) < 1e-2, name
        assert 0 < change(fault, fault.strengths[-3]) < change(fault, fault.strengths[-1]), name


def test_input_faults_are_in_pixels(load: Load) -> None:
    faults = load("gate_faults")
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((10, 20, 30), (2, 4, 5)))
    pixels = np.full((3, 2, 2), 100, np.float32) * np.array([1, 0.5, 2.5])[:, None, None]
    tensor = ((pixels - mean) / std).astype(np.float32)
    setting = faults.Setting("detector", True, (3, 4), 2, [], [], 0)
    swapped = faults.wrong_colors(tensor, 1.0, setting, mean, std) * std + mean
    assert swapped[:, 0, 0] == pytest.approx([250, 50, 100], rel=1e-5)
    assert np.array_equal(faults.wrong_colors(tensor, 0.0, setting, mean, std), tensor)
    brighter = faults.brighter(tensor, 20.0, setting, mean, std) * std + mean
    assert brighter[:, 0, 0] == pytest.approx([120, 70, 255], rel=1e-5)


def test_an_untrained_network_on_drawn_people(
    load: Load, need: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    need("onnxscript")
    torch = need("torch")
    from training.checkpoint import CheckpointInfo, save_checkpoint

    torch.manual_seed(0)
    info = CheckpointInfo("hourglass_lite_s", "logits", (64, 64))
    save_checkpoint(tmp_path / "x.safetensors", info.build().state_dict(), info)
    out = tmp_path / "power.json"
    faults = ["--fault", "louder", "--fault", "color"]
    where = ["--checkpoint", str(tmp_path / "x.safetensors"), "--generated", "--out", str(out)]
    done = CliRunner().invoke(load("gate_power").main, [*where, *faults])
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text("utf-8"))
    assert report["schema"] == "edge_pose.gate_power/1"
    assert list(report["faults"]) == ["louder", "color"]
    (network,) = report["networks"]
    assert (network["task"], network["dataset"], network["n_persons"]) == (
        "top_down", "generated", 120,
    )  # fmt: skip
    louder, color = network["rows"]
    assert (louder["passes"], louder["refused"]) == (1.1, 1.2)
    assert "maps are 1.2 times the checkpoint's, 1.15 passes" in louder["reasons"]
    assert color["refused"] <= 1.0


def test_data_are_asked_for(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_POSE_DATA", raising=False)
    done = CliRunner().invoke(load("gate_power").main, [])
    assert done.exit_code == 2
    assert "--data is missing: a folder with data sets, or --generated" in done.output


@pytest.mark.parametrize("part", [["--fault", "lose"], ["--checkpoint", "x"], ["--generated"]])
def test_a_part_does_not_replace_the_committed_figures(load: Load, part: list[str]) -> None:
    done = CliRunner().invoke(load("gate_power").main, ["--data", "nowhere", *part])
    assert done.exit_code == 2
    assert "--out is missing: a part does not replace the committed figures" in done.output


def test_the_place_is_asked_for_first(load: Load, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        load("gate_power").main, ["--data", "nowhere", "--out", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert f"{tmp_path}: is a folder, expected a file" in done.output


def test_the_committed_figures_are_of_the_limits_as_they_are(load: Load) -> None:
    from converters.gates import LIMITS, YARDSTICKS

    file = SCRIPTS.parent / "benchmarks" / "results" / "gate_power.json"
    report = json.loads(file.read_text("utf-8"))
    assert report["limits"] == asdict(LIMITS[report["precision"]])
    assert {network["task"] for network in report["networks"]} == set(YARDSTICKS)
    for network in report["networks"]:
        rows = {row["fault"]: row for row in network["rows"]}
        assert list(rows) == list(load("gate_faults").FAULTS)
        assert network["n_persons"] >= 500
        assert all(row["refused"] is not None for row in rows.values()), network["model"]
