from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_pose.metrics.latency import WINDOW, LatencyRecorder


def test_empty() -> None:
    assert LatencyRecorder().summary() == {}


def test_one_call() -> None:
    recorder = LatencyRecorder()
    recorder.add("infer", 0.25)
    summary = recorder.summary()["infer"]
    assert summary.count == 1
    figures = (summary.mean_s, summary.p50_s, summary.p95_s, summary.p99_s, summary.max_s)
    assert figures == pytest.approx((0.25,) * 5)


def test_percentiles_are_numpys() -> None:
    values = np.random.default_rng(0).gamma(2.0, 0.01, 1000)
    recorder = LatencyRecorder()
    for value in values:
        recorder.add("decode", float(value))
    summary = recorder.summary()["decode"]
    assert summary.p50_s == pytest.approx(np.percentile(values, 50))
    assert summary.p95_s == pytest.approx(np.percentile(values, 95))
    assert summary.p99_s == pytest.approx(np.percentile(values, 99))
    assert summary.mean_s == pytest.approx(values.mean())
    assert summary.max_s == values.max()


def test_stages_are_apart_and_in_order_of_first_use() -> None:
    recorder = LatencyRecorder()
    for stage, seconds in (("capture", 1.0), ("infer", 2.0), ("capture", 3.0)):
        recorder.add(stage, seconds)
    summary = recorder.summary()
    assert list(summary) == ["capture", "infer"]
    assert (summary["capture"].count, summary["capture"].mean_s) == (2, 2.0)


def test_percentiles_follow_the_last_calls_and_the_rest_covers_all() -> None:
    recorder = LatencyRecorder(window=10)
    for seconds in [100.0, *([1.0] * 89), *([2.0] * 10)]:
        recorder.add("infer", seconds)
    summary = recorder.summary()["infer"]
    assert (summary.p50_s, summary.p99_s) == (2.0, 2.0)
    assert (summary.count, summary.max_s) == (100, 100.0)
    assert summary.mean_s == pytest.approx((100 + 89 + 20) / 100)


def test_memory_is_bounded() -> None:
    recorder = LatencyRecorder()
    for _ in range(3 * WINDOW):
        recorder.add("infer", 0.01)
    assert recorder._stages["infer"].ring.nbytes == 8 * WINDOW
    assert recorder.summary()["infer"].count == 3 * WINDOW


def test_threads_may_share_it() -> None:
    recorder = LatencyRecorder(window=64)

    def work(name: str) -> None:
        for i in range(500):
            recorder.add(f"{name}{i % 20}", 0.01)
            recorder.add("shared", 0.01)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recorder.summary()
    for thread in threads:
        thread.join()
    summary = recorder.summary()
    assert summary["shared"].count == 1000
    assert len(summary) == 41


def test_window_must_be_positive() -> None:
    with pytest.raises(ValueError, match="window: 0"):
        LatencyRecorder(0)


def test_the_last_durations_of_every_stage_are_handed_out() -> None:
    recorder = LatencyRecorder(window=3)
    for seconds in (9.0, 1.0, 2.0, 3.0):
        recorder.add("infer", seconds)
    recorder.add("decode", 0.5)
    recent = recorder.recent_s()
    assert sorted(recent["infer"].tolist()) == [1.0, 2.0, 3.0]
    assert recent["decode"].tolist() == [0.5]
    recent["decode"][0] = 7.0
    assert recorder.recent_s()["decode"].tolist() == [0.5]  # a copy
