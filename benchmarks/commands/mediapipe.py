"""`edge-pose-bench mediapipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.commands.options import (
    max_frames_option,
    measured_environment,
    measurement_options,
    pipeline_config,
    say,
    show,
)


@click.command("mediapipe", short_help="Our whole pipeline beside MediaPipe Pose on one clip.")
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    required=True,
    help="Python of an environment that has mediapipe.",
)
@measurement_options(rounds=3)
@max_frames_option
def command(python: Path, rounds: int, as_json: bool, **flags: Any) -> None:  # noqa: ANN401
    """Our whole pipeline and MediaPipe Pose, side by side on the same clip.

    MediaPipe (solutions.pose, model_complexity=1, tracking on) needs an older NumPy than we do, so
    it gets an environment of its own:

    \b
        python -m venv X && X/bin/pip install mediapipe==0.10.21
        edge-pose-bench mediapipe --python X/bin/python
    """  # noqa: D301 - \b is the character that click takes for "do not wrap"
    environment = measured_environment()
    config = pipeline_config(flags)
    from benchmarks.mediapipe_peer import mediapipe_benchmark

    report = mediapipe_benchmark(
        config,
        python,
        rounds,
        environment,
        lambda n, r: say(
            f"round {n} of {rounds}: edge_pose {r.edge_pose.fps:.1f}, MediaPipe"
            f" {r.mediapipe.fps:.1f} FPS, ratio {r.ratio:.2f}"
        ),
    )
    show(report, as_json=as_json)
