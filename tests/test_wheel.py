"""The wheel, installed into an empty environment, does the main job outside of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def call(*command: object, cwd: Path) -> str:
    """Run a command without anything of the checkout on its path; return its stdout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], object]) -> Path:
    need("build")
    need("hatchling")
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    call(*build, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a virtual environment that holds the wheel with `[onnx]` only."""
    folder = tmp_path_factory.mktemp("venv")
    call(sys.executable, "-m", "venv", folder, cwd=folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    call(*pip, "--constraint", ROOT / "constraints.txt", f"{wheel}[onnx]", cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_the_data_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("edge_pose", "device_configs", "training", "converters", "benchmarks"):
        files = (path for path in (ROOT / package).rglob("*") if path.is_file())
        wanted = {
            str(path.relative_to(ROOT)) for path in files if path.parent.name != "__pycache__"
        }
        # What was measured and trained is in the repository; the wheel stays small.
        left_out = ("training/weights/", "benchmarks/results/")
        assert not {name for name in wanted - names if not name.startswith(left_out)}
    assert not [
        name for name in names if name.startswith(("training/weights/", "benchmarks/results/"))
    ]
    for needed in (
        "edge_pose/models/hourglass_lite_s_int8/manifest.json",
        "edge_pose/samples/one_person_walking.mp4",
        "edge_pose/samples/LICENSE.BSD-3-Clause.txt",
        "edge_pose/schemas/poses-1.json",
        "device_configs/raspberry_pi_5.toml",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "runs/"))]
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_it_runs_on_the_shipped_clip(environment: Path, tmp_path: Path) -> None:
    find = "from edge_pose.samples import WALKING; print(WALKING)"
    clip = Path(call(environment / "python", "-c", find, cwd=tmp_path).strip())
    assert ROOT not in clip.parents
    jsonl = tmp_path / "poses.jsonl"
    out = call(
        environment / "edge-pose", "run", clip, "--jsonl", jsonl, "--json", cwd=tmp_path
    )  # fmt: skip
    summary = json.loads(out)
    assert (summary["frames"], summary["outcome"]) == (175, "finished")
    assert summary["frames_with_people"] >= 150
    assert len(jsonl.read_text().splitlines()) == 175


def test_nothing_of_the_workshop_is_installed(environment: Path, tmp_path: Path) -> None:
    listing = call(environment / "python", "-m", "pip", "list", "--format", "json", cwd=tmp_path)
    installed = {package["name"].lower() for package in json.loads(listing)}
    assert {"edge-pose", "onnxruntime"} <= installed
    assert installed.isdisjoint({"torch", "torchvision", "onnx", "onnxscript", "scipy", "amqtt"})


def test_what_is_not_installed_is_said_in_one_line(environment: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [environment / "edge-pose", "demo"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "edge-pose: embedded broker: amqtt is not installed; pip install 'edge-pose[broker]'"
    ]
