"""AE and joules against hand-computed values on a recorded power trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.figures import fixed_rate_figures, histogram, lost, mode_figures
from benchmarks.passes import Pass
from edge_pose.power import EnergyRecorder, PowerMeter, PowerSummary

# Seconds and watts of a board under a load that comes and goes.
TRACE = [(0.0, 4.0), (1.0, 6.0), (3.0, 8.0), (4.0, 8.0), (5.0, 2.0)]
# Trapezoids: 5 + 14 + 8 + 5 = 32 J in 5 s.
MEAN_W, ENERGY_J, DURATION_S = 6.4, 32.0, 5.0


class Recorded(PowerMeter):
    """Says what the trace says at a moment; its clock is the trace's."""

    name, detail = "recorded", "a board's supply"

    def __init__(self) -> None:
        self.now_s, self.power_w = TRACE[0]

    def read_w(self) -> float:
        return self.power_w


def replay(idle_w: float | None = None) -> tuple[PowerSummary, list[tuple[float, float]]]:
    meter = Recorded()
    idle = idle_w and PowerSummary(idle_w, idle_w, 1.0, 2, "recorded", "measured", "at rest")
    recorder = EnergyRecorder(
        meter, 1e6, clock=lambda: meter.now_s, idle=idle or None, keep_trace=True
    )
    with recorder:
        for meter.now_s, meter.power_w in TRACE[1:-1]:
            recorder.sample()
        meter.now_s, meter.power_w = TRACE[-1]
    return recorder.summary(), recorder.trace


def one_pass(frames: int = 160, idle_w: float | None = None, **options: object) -> Pass:
    power, trace = replay(idle_w)
    values: dict[str, object] = {
        "mode": "offline",
        "frames": frames,
        "frames_with_people": frames - 1,
        "started_s": 50.0,
        "duration_s": DURATION_S,
        "durations_s": {"end_to_end": np.linspace(0.010, 0.020, frames)},
        "offered": frames,
        "late": 0,
        "cpu_s": 2.5,
        "power": power,
        "trace": trace,
    }
    return Pass(**{**values, **options})  # type: ignore[arg-type]


def test_a_lost_meter_is_what_the_summary_says_not_what_it_is_called() -> None:
    power, _ = replay()
    named = replace(power, detail="rail; LOST after all")
    assert lost(named) is None
    assert mode_figures([one_pass(power=named)], None).power.lost is None
    gone = replace(named, lost="after 1.0 s of 4.0 s: rail is gone")
    found = mode_figures([one_pass(), one_pass(power=gone)], None)
    assert found.power.lost == "lost after 1.0 s of 4.0 s: rail is gone"


def test_the_trace_integrates_as_by_hand() -> None:
    power, trace = replay()
    assert power.energy_j == pytest.approx(ENERGY_J, rel=1e-3)
    assert power.mean_w == pytest.approx(MEAN_W, rel=1e-3)
    assert trace == TRACE


def test_ae_and_joules_are_the_hand_computed_ones() -> None:
    # 160 frames in 5 s: 32 FPS. 75 % × 32 / 6.4 W = 375. 6.4 W / 32 FPS = 0.2 J per frame, of
    # which (6.4 − 1.6) / 32 = 0.15 J are above the idle baseline.
    found = mode_figures([one_pass(idle_w=1.6)], 75.0).power
    assert found.accuracy_fps_per_watt is not None
    assert found.accuracy_fps_per_watt.mean == pytest.approx(375.0)
    assert found.joules_per_frame.mean == pytest.approx(0.2)
    assert found.above_idle_joules_per_frame is not None
    assert found.above_idle_joules_per_frame.mean == pytest.approx(0.15)
    assert found.mean_w.mean == pytest.approx(MEAN_W)


def test_ae_over_repeats_has_a_confidence_interval() -> None:
    # 375 and 75 % × 16 / 6.4 = 187.5: mean 281.25, s = 132.58, t(1) = 12.706.
    found = mode_figures([one_pass(), one_pass(frames=80)], 75.0).power.accuracy_fps_per_watt
    assert found is not None
    assert found.values == pytest.approx((375.0, 187.5))
    assert found.mean == pytest.approx(281.25)
    assert found.half_width == pytest.approx(12.706 * 132.58 / 2**0.5, rel=1e-3)


def test_without_accuracy_or_power_there_is_no_ae() -> None:
    assert mode_figures([one_pass()], None).power.accuracy_fps_per_watt is None
    nothing = PowerSummary(0.0, 0.0, 5.0, 3, "recorded", "measured", "unplugged")
    assert mode_figures([one_pass(power=nothing)], 75.0).power.accuracy_fps_per_watt is None


def test_latencies_are_numpy_s_percentiles() -> None:
    values = np.linspace(0.010, 0.020, 160)
    found = mode_figures([one_pass()], 75.0).latency["end_to_end"]
    for name, q in (("p50_ms", 50), ("p90_ms", 90), ("p95_ms", 95), ("p99_ms", 99)):
        assert getattr(found, name).mean == pytest.approx(np.percentile(values, q) * 1e3)
    assert (found.frames, found.max_ms) == (160, pytest.approx(20.0))
    assert found.mean_ms.mean == pytest.approx(15.0)


def test_deadlines_are_counted_against_what_was_offered() -> None:
    passes = [
        one_pass(mode="fixed_rate", offered=200, late=10),  # 40 skipped: 25 %
        one_pass(mode="fixed_rate", offered=160, late=8),  # 5 %
    ]
    found = fixed_rate_figures(passes, 75.0, 40.0)
    assert (found.offered, found.skipped, found.late) == (360, 40, 18)
    assert found.deadline_misses == 58
    assert found.miss_percent.values == pytest.approx((25.0, 5.0))


def test_the_power_series_goes_on_over_the_repeats() -> None:
    found = mode_figures([one_pass(), one_pass(started_s=60.0)], 75.0)
    series, samples = found.power.series, len(TRACE)
    assert series.time_s == (*(t for t, _ in TRACE), *(10.0 + t for t, _ in TRACE))
    assert series.power_w[:samples] == tuple(w for _, w in TRACE)
    assert found.cpu_percent.mean == pytest.approx(50.0)


def test_a_long_series_is_thinned_out() -> None:
    trace = [(k * 0.1, float(k)) for k in range(10_000)]
    series = mode_figures([one_pass(trace=trace)], 75.0).power.series
    assert 150 <= len(series.time_s) <= 300
    assert series.time_s[0] == 0.0


def test_the_histogram_holds_every_frame_and_slow_ones_do_not_squeeze_it() -> None:
    values = np.concatenate([np.linspace(10.0, 12.0, 500), [900.0]])
    found = histogram(values)
    assert sum(found.counts) == 501
    assert found.edges_ms[0] == pytest.approx(10.0)
    assert found.edges_ms[-1] == pytest.approx(900.0)
    assert found.edges_ms[-2] < 12.5
    assert sum(found.counts[:-1]) >= 490
    assert sum(histogram(np.full(7, 3.0)).counts) == 7
