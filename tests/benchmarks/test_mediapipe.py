"""The peer's side is its real runner, in another interpreter, with mediapipe itself replaced."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.environment import Environment
from benchmarks.mediapipe_peer import RUNNER, mediapipe_benchmark
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError

# Finds somebody wherever the picture is not black, in every frame but each third one; 20 ms each.
STUB = """
import runpy, sys, time, types
class Pose:
    def __init__(self, static_image_mode, model_complexity):
        assert (static_image_mode, model_complexity) == (False, 1)
        self.seen = 0
    def process(self, image):
        time.sleep(0.02)
        if not image.any():
            self.seen = 0
            return types.SimpleNamespace(pose_landmarks=None)
        assert image.shape == (120, 160, 3)
        self.seen += 1
        return types.SimpleNamespace(pose_landmarks=None if self.seen % 3 == 0 else [1])
    def close(self):
        pass
pose = types.SimpleNamespace(Pose=Pose)
fake = types.ModuleType("mediapipe")
fake.__version__, fake.solutions = "0.10.21", types.SimpleNamespace(pose=pose)
sys.modules["mediapipe"] = fake
sys.argv = sys.argv[2:]  # without this file and -I
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    stub, python = tmp_path / "stub.py", tmp_path / "python"
    stub.write_text(STUB, "utf-8")
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stub}" "$@"\n', "utf-8")
    python.chmod(0o755)
    return python


def test_both_are_measured_on_the_same_frames(
    config: Callable[..., RunConfig], environment: Environment, other_python: Path
) -> None:
    report = mediapipe_benchmark(config(12), other_python, 2, environment)
    assert report.peer_versions["mediapipe"] == "0.10.21"
    for done in report.rounds:
        assert done.edge_pose.frames == done.mediapipe.frames == 12
        assert (done.edge_pose.frames_with_people, done.mediapipe.frames_with_people) == (12, 8)
        assert done.ratio == done.edge_pose.fps / done.mediapipe.fps
        assert done.mediapipe.fps < 50.0  # its 20 ms per frame are counted
    assert report.summary.target_met == (report.summary.ratio.median >= 3.0)


def test_the_command(
    bench: Callable[..., tuple[int, str, str]],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
    other_python: Path,
) -> None:
    known = ("mediapipe", "--python", other_python, "--model", tiny_artifact)
    known += ("--source", make_clip(6), "--rounds", 1)
    code, out, _ = bench(*known, "--json")
    assert code == 0
    assert json.loads(out)["summary"]["frames"] == 6
    code, out, _ = bench(*known, "--max-frames", 4)
    assert code == 0
    assert "4 frames" in out
    assert "MediaPipe Pose" in out


def test_the_help_says_how_to_get_mediapipe(bench: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = bench("mediapipe", "--help")
    assert code == 0
    assert "python -m venv X && X/bin/pip install mediapipe==0.10.21" in out


@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("/no/such/python", "/no/such/python: cannot be run: No such file or directory"),
        ("/bin/true", "/bin/true: exit code 0, no answer, it said: nothing"),
        (sys.executable, "No module named 'mediapipe': make an environment for it with"),
    ],
)
def test_a_wrong_python(
    python: str,
    says: str,
    errors: Callable[..., str],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
) -> None:
    known = ("mediapipe", "--model", tiny_artifact, "--source", make_clip(3))
    assert says in errors(*known, "--python", python)


def test_a_python_must_be_given(errors: Callable[..., str]) -> None:
    assert "--python" in errors("mediapipe")


def test_a_missing_clip(errors: Callable[..., str], other_python: Path) -> None:
    line = errors("mediapipe", "--python", other_python, "--source", "absent.mp4")
    assert line.startswith("edge-pose-bench: absent.mp4: no such file")


def test_another_number_of_frames_is_no_comparison(
    config: Callable[..., RunConfig], environment: Environment, tmp_path: Path
) -> None:
    answer = '{"frames": 5, "frames_with_people": 5, "duration_s": 1.0, "versions": {}}'
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{answer}'\n", "utf-8")
    python.chmod(0o755)
    with pytest.raises(EdgePoseError, match=r"5 frames in .*, ours are 6"):
        mediapipe_benchmark(config(6), python, 1, environment)


def test_the_runner_needs_nothing_of_ours() -> None:
    tree = ast.parse(RUNNER.read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
