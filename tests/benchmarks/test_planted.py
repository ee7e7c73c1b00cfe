"""The harness reports what was planted: much, so that a busy machine cannot hide it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import pytest

import edge_pose.estimator
from benchmarks.environment import Environment
from benchmarks.plan import MODES, Plan
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
    slow_backend: SlowBackend,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    run, both = config(3, backend="slow"), plan(2, modes=("offline", "single_stream"))
    found = []
    for takes_s in (1.0, 2.0):
        slow_backend.takes_s = takes_s
        found.append(run_benchmark(run, both, environment))
    assert [one.parts is None for one in found] == [False, False]
    before, after = (one.parts.summary for one in found if one.parts is not None)
    assert after.bare.ms_per_frame.median == twice(before.bare.ms_per_frame.median)
    assert after.bare.fps.median == pytest.approx(before.bare.fps.median / 2, rel=0.1)
    assert after.pipeline.ms_per_frame.median == twice(before.pipeline.ms_per_frame.median)
    assert after.read_clip.ms_per_frame.median < 100.0  # what was not slowed stays as it was
    for name in both.modes:
        slow, slower = (one.modes[name] for one in found)
        assert slow.latency["infer"].p50_ms.mean >= 1000.0
        assert slower.fps.mean == pytest.approx(slow.fps.mean / 2, rel=0.1)
        for figure in ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"):
            infer = [getattr(mode.latency["infer"], figure).mean for mode in (slow, slower)]
            assert infer[1] == twice(infer[0])
        assert slower.latency["infer"].max_ms == twice(slow.latency["infer"].max_ms)
        assert slower.latency["decode"].max_ms < 1000.0
        # The estimate's watts are what the machine happens to draw, so joules are compared per W.
        joules = [m.power.joules_per_frame.mean / m.power.mean_w.mean for m in (slow, slower)]
        assert joules[1] == twice(joules[0])
    end_to_end = [one.modes["single_stream"].latency["end_to_end"].p50_ms.mean for one in found]
    assert end_to_end[1] == twice(end_to_end[0])


def test_a_slow_network_misses_every_deadline(
    slow_backend: SlowBackend,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    slow_backend.takes_s = 1.0
    camera = plan(modes=("fixed_rate",), rate_hz=20.0, parts=False)
    found = run_benchmark(config(6, backend="slow"), camera, environment).fixed_rate
    assert found is not None
    # A second is the time of twenty frames: the first one is late, its successors are skipped.
    assert found.miss_percent.mean == 100.0
    assert found.late == found.frames
    assert found.skipped >= 3  # one may be waiting already, and one on its way
    assert found.latency["end_to_end"].p50_ms.mean >= 1000.0


def test_twice_the_time_shows_at_every_number_of_threads(
    slow_backend: SlowBackend,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    run, sweep = config(2, backend="slow"), plan(threads_sweep=True, parts=False)
    found = []
    for takes_s in (1.0, 2.0):
        slow_backend.takes_s = takes_s
        found.append(run_benchmark(run, sweep, environment).threads_sweep)
    for slow, slower in zip(*found, strict=True):
        assert slower.network_ms.mean == twice(slow.network_ms.mean)
        assert slower.fps.mean == pytest.approx(slow.fps.mean / 2, rel=0.1)


def twice(value: float) -> object:
    return pytest.approx(2 * value, rel=0.1)


@pytest.mark.parametrize("stage", PLACES)
def test_a_sleep_shows_in_its_stage_and_in_no_other(
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> None:
    owner, name = PLACES[stage]
    original = getattr(owner, name)

    def slow(*args: object, **options: object) -> object:
        time.sleep(SLEEP_S)
        return original(*args, **options)

    monkeypatch.setattr(owner, name, slow)
    all_modes = plan(2, modes=MODES, rate_hz=10.0)
    result = run_benchmark(config(4), all_modes, environment)
    for mode in result.modes.values():
        assert mode.latency[stage].p50_ms.mean >= SLEEP_MS
        for other in set(PLACES) - {stage}:
            assert min(mode.latency[other].p50_ms.values) < NO_SLEEP_MS, other
        assert mode.latency["end_to_end"].p50_ms.mean >= SLEEP_MS
    assert result.parts is not None
    summary = result.parts.summary
    slow_ones = {"pipeline", *SLOWED.get(stage, ())}
    for name in ("bare", "estimator", "read_clip", "pipeline"):
        is_slow = getattr(summary, name).ms_per_frame.min >= SLEEP_MS
        assert is_slow == (name in slow_ones), name
