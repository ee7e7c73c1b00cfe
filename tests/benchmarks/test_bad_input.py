"""Whatever is wrong: one line, and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.environment import Environment
from benchmarks.plan import Plan
from benchmarks.run import run_benchmark
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError
from edge_pose.publishers.jsonl import JsonlPublisher
from edge_pose.sources.video import VideoSource


@pytest.mark.parametrize("command", ["run", "cold-start"])
def test_a_missing_clip(command: str, errors: Callable[..., str], tiny_artifact: Path) -> None:
    line = errors(command, "--model", tiny_artifact, "--source", "absent.mp4")
    assert line == "edge-pose-bench: absent.mp4: no such file"


@pytest.mark.parametrize("command", ["run", "cold-start"])
def test_an_unknown_model(
    command: str, errors: Callable[..., str], make_clip: Callable[..., Path]
) -> None:
    line = errors(command, "--model", "no_such_model", "--source", make_clip(3))
    assert "model 'no_such_model'" in line


def test_text_instead_of_a_clip(
    errors: Callable[..., str], tiny_artifact: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("not a video")
    line = errors("run", "--model", tiny_artifact, "--source", file, fresh=True)
    assert "not a video" in line


def test_an_empty_folder(errors: Callable[..., str], tiny_artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert str(folder) in errors("run", "--model", tiny_artifact, "--source", folder)


def test_zero_frames(
    monkeypatch: pytest.MonkeyPatch, errors: Callable[..., str], config: Callable[..., RunConfig]
) -> None:
    run = config(3)
    monkeypatch.setattr(VideoSource, "frames", lambda _: iter(()))
    line = errors("run", "--model", run.model, "--source", run.source)
    assert line.endswith("no frames, there is nothing to measure")


def test_a_live_source(
    config: Callable[..., RunConfig], plan: Callable[..., Plan], environment: Environment
) -> None:
    class Live(VideoSource):
        def __init__(self, path: Path, **_: object) -> None:
            super().__init__(path, realtime=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_pose.sources.video.VideoSource", Live)
        with pytest.raises(EdgePoseError, match="is live"):
            run_benchmark(config(3), plan(), environment)


def test_a_truncated_clip(
    errors: Callable[..., str], tiny_artifact: Path, cut_clip: Callable[..., Path]
) -> None:
    clip = cut_clip(0.5, index_first=True)
    assert "truncated" in errors("run", "--model", tiny_artifact, "--source", clip, fresh=True)


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_a_wrong_number_of_rounds(rounds: str, errors: Callable[..., str]) -> None:
    assert "--rounds" in errors("run", "--rounds", rounds)


def test_a_wrong_profile_and_meter(
    errors: Callable[..., str], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    known = ("run", "--model", tiny_artifact, "--source", make_clip(3))
    assert "device profile 'toaster'" in errors(*known, "--profile", "toaster")
    assert "power meter 'guess'" in errors(*known, "--power", "guess")


def test_a_clip_that_shrinks_between_rounds(
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    run = config(6)
    frames = VideoSource.frames
    passes = []

    def fewer(self: VideoSource):
        passes.append(1)
        for frame in frames(self):
            if len(passes) > 1 and frame.index > 3:
                return
            yield frame

    monkeypatch.setattr(VideoSource, "frames", fewer)
    with pytest.raises(EdgePoseError, match="4 frames, 6 before"):
        run_benchmark(run, plan(), environment)


def test_a_pipeline_that_breaks_is_not_a_result(
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    def broken(*_: object) -> None:
        raise EdgePoseError("planted")

    monkeypatch.setattr(JsonlPublisher, "poses", broken)
    with pytest.raises(EdgePoseError, match="planted"):
        run_benchmark(config(4), plan(), environment)
