"""`edge-pose-bench mediapipe`: our pipeline and MediaPipe Pose side by side on the same clip.

MediaPipe lives in an environment of its own, since it needs NumPy 1; one process of that Python
measures one round. Its start and the loading of its models are not counted, as ours are not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmarks.child import ask_child
from benchmarks.environment import Environment
from benchmarks.measures import run_pipeline
from benchmarks.report import Report, Spread, Table, spread
from benchmarks.workload import count_frames
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError, SourceError, UsageError
from edge_pose.types import utc_now

RUNNER = Path(__file__).with_name("mediapipe_runner.py")
REQUIREMENT = "mediapipe==0.10.21"
TARGET_RATIO = 3.0
# Variables that would lead the other Python to our packages.
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class PeerTiming(Table):
    """One pass over the clip, reading it included."""

    frames: int = Field(ge=1)
    fps: float
    frames_with_people: int


class PeerRound(Table):
    """Both, one after the other; every other round the peer goes first."""

    edge_pose: PeerTiming
    mediapipe: PeerTiming
    ratio: float = Field(description="our FPS over MediaPipe's")


class PeerSummary(Table):
    """Over the rounds."""

    frames: int
    edge_pose_fps: Spread
    mediapipe_fps: Spread
    edge_pose_frames_with_people: Spread
    mediapipe_frames_with_people: Spread
    ratio: Spread
    target_ratio: float
    target_met: bool


class MediapipeReport(Report):
    """The whole report."""

    kind: Literal["mediapipe"] = "mediapipe"
    model: str
    source: str
    threads: int
    peer: str = Field(description="what was run")
    peer_versions: dict[str, str]
    rounds: tuple[PeerRound, ...] = Field(min_length=1)
    summary: PeerSummary


def mediapipe_benchmark(
    config: RunConfig,
    python: Path,
    rounds: int,
    environment: Environment,
    on_round: Callable[[int, PeerRound], None] = lambda _number, _round: None,
) -> MediapipeReport:
    """Measure.

    Args:
        config: of our pipeline; its source must be a video file, which both can read.
        python: interpreter of an environment with mediapipe.
        rounds: at least 1.
        environment: read before anything was loaded.
        on_round: called after each round with its number from 1.

    Raises:
        EdgePoseError: the clip, the artifact or the other environment cannot be used.
    """
    if not Path(config.source).is_file():
        raise SourceError(f"{config.source}: no such file, MediaPipe is given a video file")
    _ask(python, config.source, 1)  # a wrong environment must show before minutes are spent
    frames = count_frames(config)
    done: list[PeerRound] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, rounds + 1):
            peer_first = number % 2 == 0
            result, versions = _round(config, frames, python, Path(folder), peer_first=peer_first)
            done.append(result)
            on_round(number, result)
    return MediapipeReport(
        created_at=utc_now(),
        environment=environment,
        model=config.model,
        source=config.source,
        threads=config.threads,
        peer="mediapipe.solutions.pose, model_complexity=1, tracking on",
        peer_versions=versions,
        rounds=tuple(done),
        summary=_summary(done),
    )


def _round(
    config: RunConfig, frames: int, python: Path, folder: Path, *, peer_first: bool
) -> tuple[PeerRound, dict[str, str]]:
    answer = _ask(python, config.source, frames) if peer_first else None
    ours = run_pipeline(config, frames, folder)
    answer = answer or _ask(python, config.source, frames)
    if answer["frames"] != frames:
        found = answer["frames"]
        raise EdgePoseError(f"mediapipe: {found} frames in {config.source}, ours are {frames}")
    fps = answer["frames"] / answer["duration_s"]
    result = PeerRound(
        edge_pose=PeerTiming(
            frames=ours.frames, fps=ours.fps, frames_with_people=ours.frames_with_people
        ),
        mediapipe=PeerTiming(
            frames=answer["frames"], fps=fps, frames_with_people=answer["frames_with_people"]
        ),
        ratio=ours.fps / fps,
    )
    return result, dict(answer["versions"])


def _ask(python: Path, clip: str, max_frames: int) -> dict[str, Any]:
    """Let the other Python run over the clip once."""
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    env["GLOG_minloglevel"] = "3"
    # -I: its own packages only, and this folder stays off its path.
    command = [str(python), "-I", str(RUNNER), clip, str(max_frames)]
    answer = ask_child(command, "mediapipe", env=env)
    if "error" in answer:
        raise UsageError(
            f"mediapipe: {python}: {answer['error']}: make an environment for it with"
            f" `python -m venv X && X/bin/pip install {REQUIREMENT}` and pass X/bin/python"
        )
    return answer


def _summary(rounds: list[PeerRound]) -> PeerSummary:
    ratio = spread(r.ratio for r in rounds)
    return PeerSummary(
        frames=rounds[0].edge_pose.frames,
        edge_pose_fps=spread(r.edge_pose.fps for r in rounds),
        mediapipe_fps=spread(r.mediapipe.fps for r in rounds),
        edge_pose_frames_with_people=spread(r.edge_pose.frames_with_people for r in rounds),
        mediapipe_frames_with_people=spread(r.mediapipe.frames_with_people for r in rounds),
        ratio=ratio,
        target_ratio=TARGET_RATIO,
        target_met=ratio.median >= TARGET_RATIO,
    )
