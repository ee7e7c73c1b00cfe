"""Parts of the pipeline measured alone. Each handles every frame of the clip once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.run_report import Timing
from benchmarks.workload import Workload, clip_frames, open_clip
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError, SourceError
from edge_pose.estimator import Stopwatch
from edge_pose.metrics.latency import LatencyRecorder, LatencySummary
from edge_pose.opencv_threads import one_opencv_thread
from edge_pose.session import run
from edge_pose.summary import RunSummary


def time_bare(work: Workload) -> Timing:
    """Time the network alone: the same prepared tensor again and again."""
    infer, tensor = work.estimator.backend.run, work.tensor

    def one(_: int, watch: Stopwatch) -> None:
        with watch.time("infer"):
            infer(tensor)

    return _time_loop(work.frames, one)


def time_estimator(work: Workload) -> Timing:
    """Time the estimator on frames that are in memory, always looking at the same region.

    As in the pipeline, OpenCV has one thread.
    """
    images, region = work.images, work.region

    def one(index: int, watch: Stopwatch) -> None:
        work.estimator.estimate(images[index % len(images)], region, watch)

    with one_opencv_thread:
        return _time_loop(work.frames, one)


def time_read_clip(work: Workload) -> Timing:
    """Time reading the clip through its source, with nothing else at work."""
    recorder = LatencyRecorder(work.frames)
    frames = 0
    with open_clip(work.config) as source:
        start = time.perf_counter()
        for frame in clip_frames(source, work.config):
            recorder.add("capture", frame.capture_s)
            frames += 1
        seconds = time.perf_counter() - start
    if frames != work.frames:
        message = f"{work.config.source}: {frames} frames, {work.frames} before: it was changed"
        raise SourceError(message)
    return _timing(frames, seconds, recorder.summary())


def run_pipeline(config: RunConfig, frames: int, folder: Path) -> RunSummary:
    """Run the pipeline once.

    Args:
        config: the run; its messages go to a file.
        frames: how many have to come through.
        folder: where the messages are written.

    Raises:
        EdgePoseError: it failed, or not every frame came through.
    """
    summary = run(config.model_copy(update={"jsonl": folder / "poses.jsonl"}))
    if summary.error is not None:
        raise EdgePoseError(summary.error)
    if summary.frames != frames:
        message = f"{config.source}: {summary.frames} of {frames} frames came through"
        raise EdgePoseError(message)
    return summary


def _time_loop(frames: int, one: Callable[[int, Stopwatch], None]) -> Timing:
    recorder = LatencyRecorder(frames)
    start = time.perf_counter()
    for index in range(frames):
        watch = Stopwatch()
        one(index, watch)
        for stage, seconds in watch.stage_s.items():
            recorder.add(stage, seconds)
    return _timing(frames, time.perf_counter() - start, recorder.summary())


def check_clock(shortest_s: float) -> None:
    """Refuse durations that cannot be.

    Raises:
        EdgePoseError: the shortest one is negative.
    """
    if shortest_s < 0:
        raise EdgePoseError(
            f"clock: stepped back, something took {shortest_s:g} s: the figures are worthless,"
            " measure again (virtual machines that are moved do this)"
        )


def _timing(frames: int, seconds: float, latency: Mapping[str, LatencySummary]) -> Timing:
    check_clock(seconds)
    return Timing(
        frames=frames,
        ms_per_frame=seconds / frames * 1e3,
        fps=frames / seconds,
        latency_ms={name: stage.to_ms() for name, stage in latency.items()},
    )
