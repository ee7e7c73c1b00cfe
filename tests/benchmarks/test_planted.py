"""The harness reports what was planted: much, so that a busy machine cannot hide it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import pytest

import edge_pose.estimator
from benchmarks.environment import Environment
from benchmarks.run import run_benchmark
from edge_pose.backends.onnxruntime import OnnxRuntimeBackend
from edge_pose.config import RunConfig
from edge_pose.publishers.jsonl import JsonlPublisher
from edge_pose.sources.video import VideoSource

SLEEP_S, SLEEP_MS, NO_SLEEP_MS = 0.04, 40.0, 20.0
PLACES: dict[str, tuple[object, str]] = {
    "infer": (OnnxRuntimeBackend, "run"),
    "capture": (VideoSource, "_read"),
    "preprocess": (edge_pose.estimator, "crop"),
    "decode": (edge_pose.estimator, "decode_heatmaps"),
    "publish": (JsonlPublisher, "poses"),
}

# Measurements that hold the stage, beside the pipeline.
SLOWED = {
    "infer": {"bare", "estimator"},
    "preprocess": {"estimator"},
    "decode": {"estimator"},
    "capture": {"read_clip"},
}


class SlowBackend(Protocol):
    """What conftest.py's fixture returns."""

    takes_s: float


def test_twice_the_backends_time_is_reported_as_twice(
    slow_backend: SlowBackend, config: Callable[..., RunConfig], environment: Environment
) -> None:
    run = config(3, backend="slow")
    found = []
    for takes_s in (1.0, 2.0):
        slow_backend.takes_s = takes_s
        found.append(run_benchmark(run, 2, environment).summary)
    before, after = found
    assert after.bare.ms_per_frame.median == pytest.approx(
        2 * before.bare.ms_per_frame.median, rel=0.1
    )
    assert after.bare.fps.median == pytest.approx(before.bare.fps.median / 2, rel=0.1)
    infer = [summary.stages_ms["infer"]["p50"].median for summary in found]
    assert infer[1] == pytest.approx(2 * infer[0], rel=0.1)
    assert infer[0] >= 1000.0
    pipeline = [summary.pipeline.ms_per_frame.median for summary in found]
    assert pipeline[1] == pytest.approx(2 * pipeline[0], rel=0.1)
    assert after.read_clip.ms_per_frame.median < 100.0  # what was not slowed down stays as it was


@pytest.mark.parametrize("stage", PLACES)
def test_a_sleep_shows_in_its_stage_and_in_no_other(
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., RunConfig],
    environment: Environment,
) -> None:
    owner, name = PLACES[stage]
    original = getattr(owner, name)

    def slow(*args: object, **options: object) -> object:
        time.sleep(SLEEP_S)
        return original(*args, **options)

    monkeypatch.setattr(owner, name, slow)
    summary = run_benchmark(config(8), 2, environment).summary
    stages = summary.stages_ms
    assert stages[stage]["p50"].min >= SLEEP_MS
    for other in set(PLACES) - {stage}:
        assert stages[other]["p50"].min < NO_SLEEP_MS, other
    assert stages["end_to_end"]["p50"].min >= SLEEP_MS
    slow_ones = {"pipeline", *SLOWED.get(stage, ())}
    for name in ("bare", "estimator", "read_clip", "pipeline"):
        is_slow = getattr(summary, name).ms_per_frame.min >= SLEEP_MS
        assert is_slow == (name in slow_ones), name
