from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable
from types import MappingProxyType, SimpleNamespace

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.base import Accuracy, PowerMeter
from edge_pose.power.recorder import EnergyRecorder, measure_idle, uneven
from edge_pose.power.throttling import MachineState

NEVER_S = 3600.0  # the test takes the samples itself


class FakeMeter(PowerMeter):
    """Gives the readings of a list; an exception among them is raised."""

    name = "fake"
    source = "measured"
    detail = "rail VDD"
    averages = False

    def __init__(self, readings: Iterable[float | Exception]) -> None:
        self.readings = iter(readings)

    def read_w(self) -> float:
        reading = next(self.readings)
        if isinstance(reading, Exception):
            raise reading
        return reading

    def close(self) -> None:
        """Nothing to release."""


class AveragingMeter(FakeMeter):
    averages = True


def run(meter: FakeMeter, fake_time: SimpleNamespace, steps_s: Iterable[float]) -> EnergyRecorder:
    """Sample at the start and after each step; the last one is that of leaving the block."""
    *middle, last = steps_s
    with EnergyRecorder(meter, NEVER_S, clock=fake_time.clock) as recorder:
        for step_s in middle:
            fake_time.now_s += step_s
            recorder.sample()
        fake_time.now_s += last
    return recorder


def test_trapezoids(fake_time: SimpleNamespace) -> None:
    # (2+4)/2·1 + (4+10)/2·0.5 + (10+1)/2·2 = 3 + 3.5 + 11
    summary = run(FakeMeter([2.0, 4.0, 10.0, 1.0]), fake_time, [1.0, 0.5, 2.0]).summary()
    assert summary.energy_j == pytest.approx(17.5, rel=1e-3)
    assert summary.duration_s == pytest.approx(3.5, rel=1e-3)
    assert summary.mean_w == pytest.approx(5.0, rel=1e-3)
    assert summary.samples == 4
    assert (summary.meter, summary.source, summary.detail) == ("fake", "measured", "rail VDD")


def test_ramp_is_exact(fake_time: SimpleNamespace) -> None:
    ramp = [0.1 * i for i in range(101)]
    summary = run(FakeMeter(ramp), fake_time, [0.5] * 100).summary()
    assert summary.energy_j == pytest.approx(250.0, rel=1e-3)  # 10 W · 50 s / 2
    assert summary.mean_w == pytest.approx(5.0, rel=1e-3)


def test_means_since_the_previous_reading_are_multiplied_by_their_time(
    fake_time: SimpleNamespace,
) -> None:
    # 4·1 + 10·0.5 + 1·2; what was before the start (99 W) does not count
    summary = run(AveragingMeter([99.0, 4.0, 10.0, 1.0]), fake_time, [1.0, 0.5, 2.0]).summary()
    assert summary.energy_j == pytest.approx(11.0, rel=1e-3)
    assert summary.mean_w == pytest.approx(11.0 / 3.5, rel=1e-3)


def test_very_short_run_has_a_sample_at_both_ends(fake_time: SimpleNamespace) -> None:
    summary = run(FakeMeter([3.0, 5.0]), fake_time, [0.001]).summary()
    assert summary.samples == 2
    assert summary.mean_w == pytest.approx(4.0)
    assert summary.energy_j == pytest.approx(0.004)


def test_run_of_no_length(fake_time: SimpleNamespace) -> None:
    summary = run(FakeMeter([3.0, 5.0]), fake_time, [0.0]).summary()
    assert (summary.energy_j, summary.duration_s, summary.mean_w) == (0.0, 0.0, 5.0)


def test_meter_that_vanishes(fake_time: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gone = PowerError("fake: rail is gone")
    summary = run(FakeMeter([2.0, 4.0, gone]), fake_time, [1.0, 1.0, 1.0, 1.0]).summary()
    assert summary.samples == 2
    assert summary.duration_s == pytest.approx(1.0)
    assert summary.energy_j == pytest.approx(3.0)
    assert summary.mean_w == pytest.approx(3.0)
    assert summary.lost == "after 1.0 s of 4.0 s: fake: rail is gone"
    assert summary.detail == f"rail VDD; LOST {summary.lost}"
    assert len(caplog.records) == 1


def test_meter_that_does_not_work_at_the_start(fake_time: SimpleNamespace) -> None:
    recorder = EnergyRecorder(FakeMeter([PowerError("fake: no")]), clock=fake_time.clock)
    with pytest.raises(PowerError, match="fake: no"), recorder:
        pass
    with pytest.raises(PowerError, match="nothing recorded yet"):
        recorder.summary()


def test_background_thread_samples() -> None:
    seen = threading.Event()

    class Meter(FakeMeter):
        count = 0

        def read_w(self) -> float:
            self.count += 1
            if self.count == 5:
                seen.set()
            return 7.0

    meter = Meter([])
    with EnergyRecorder(meter, 0.001) as recorder:
        assert seen.wait(20)
        assert recorder.summary().samples >= 1
    summary = recorder.summary()
    assert summary.samples == meter.count >= 6
    assert summary.mean_w == pytest.approx(7.0)
    assert summary.energy_j == pytest.approx(7.0 * summary.duration_s)
    assert not recorder._thread.is_alive()


def test_thread_ends_when_the_meter_is_lost() -> None:
    with EnergyRecorder(FakeMeter([1.0, PowerError("gone")]), 0.001) as recorder:
        recorder._thread.join(20)
        assert not recorder._thread.is_alive()
    assert "LOST" in recorder.summary().detail


def test_error_in_the_block_passes_and_the_thread_ends(fake_time: SimpleNamespace) -> None:
    recorder = EnergyRecorder(FakeMeter([1.0, 1.0]), NEVER_S, clock=fake_time.clock)
    with pytest.raises(RuntimeError, match="of the run"), recorder:
        raise RuntimeError("of the run")
    assert not recorder._thread.is_alive()
    assert recorder.summary().samples == 2


def test_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="interval_s: 0"):
        EnergyRecorder(FakeMeter([]), 0)


def test_figures_beside_the_mean(fake_time: SimpleNamespace) -> None:
    meter = FakeMeter([2.0, 4.0, 10.0, 1.0])
    meter.accuracy = Accuracy(0.03)
    summary = run(meter, fake_time, [1.0, 0.5, 2.0]).summary()
    assert (summary.min_w, summary.max_w, summary.scope) == (1.0, 10.0, "board")
    assert summary.rate_hz == pytest.approx(3 / 3.5)
    assert summary.sensor_known
    # sensor: 3 % of 5 W; spread: sqrt((4 + 36 + 81) / 6) over the root of 4 readings
    expected_w = 2 * ((0.15**2) / 3 + 121 / 6 / 4) ** 0.5
    assert summary.uncertainty_w == pytest.approx(expected_w)


def test_uncertainty_of_a_run_within_one_update_is_not_known(fake_time: SimpleNamespace) -> None:
    meter = FakeMeter([5.0] * 3)
    meter.accuracy = Accuracy(0.03, update_s=10)
    summary = run(meter, fake_time, [0.5, 0.5]).summary()
    assert (summary.uncertainty_w, summary.sensor_known) == (None, False)


def test_run_shorter_than_the_usual_window(fake_time: SimpleNamespace) -> None:
    meter = AveragingMeter([9.0, 4.0])
    meter.min_window_s = 0.1
    summary = run(meter, fake_time, [0.05]).summary()
    assert summary.energy_j == pytest.approx(0.2)
    assert (summary.min_w, summary.mean_w, summary.max_w) == (pytest.approx(4.0),) * 3


def test_the_thread_does_not_wait_within_a_reading() -> None:
    meter = AveragingMeter([])
    meter.min_window_s = 0.2
    assert EnergyRecorder(meter, 0.01)._interval_s == 0.2
    assert EnergyRecorder(meter, 0.5)._interval_s == 0.5


def test_error_of_a_library_is_a_loss_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with EnergyRecorder(FakeMeter([1.0, IndexError("list index")]), 0.001) as recorder:
        recorder._thread.join(20)
    lost = recorder.summary().lost
    assert lost is not None
    assert lost.endswith(": IndexError: list index")
    assert len(caplog.records) == 1


def test_an_estimate_has_no_uncertainty(fake_time: SimpleNamespace) -> None:
    meter = FakeMeter([2.0, 4.0])
    meter.source = "estimated"
    summary = run(meter, fake_time, [1.0]).summary()
    assert (summary.uncertainty_w, summary.sensor_known) == (None, False)


def test_counted_energy_is_believed_over_the_readings(fake_time: SimpleNamespace) -> None:
    class Counter(AveragingMeter):
        counted_j = 0.0

        def read_w(self) -> float:
            self.counted_j += 2.5
            return 99.0

    summary = run(Counter([]), fake_time, [1.0, 1.0]).summary()
    assert summary.energy_j == pytest.approx(5.0)  # the 2.5 J before the first sample do not count
    assert summary.mean_w == pytest.approx(2.5)


def test_parts_are_integrated_too(fake_time: SimpleNamespace) -> None:
    class Rails(FakeMeter):
        def read_w(self) -> float:
            watts = super().read_w()
            self.rails_w = MappingProxyType({"cpu": watts / 4, "in": watts})
            return watts

    summary = run(Rails([2.0, 4.0, 8.0]), fake_time, [1.0, 1.0]).summary()
    assert summary.rails_w == {"cpu": pytest.approx(4.5 / 4), "in": pytest.approx(4.5)}


def test_idle_baseline(fake_time: SimpleNamespace) -> None:
    idle = measure_idle(
        FakeMeter([1.0, 3.0]), 5.0, NEVER_S, clock=fake_time.clock, sleep=fake_time.sleep
    )
    assert (idle.mean_w, idle.duration_s) == (pytest.approx(2.0), pytest.approx(5.0))
    with EnergyRecorder(
        FakeMeter([6.0, 8.0]), NEVER_S, clock=fake_time.clock, idle=idle
    ) as recorder:
        fake_time.now_s += 1.0
    summary = recorder.summary()
    assert summary.idle_w == pytest.approx(2.0)
    assert summary.above_idle_w == pytest.approx(5.0)
    assert idle.above_idle_w is None


def test_idle_baseline_without_a_meter_in_the_end(fake_time: SimpleNamespace) -> None:
    meter = FakeMeter([1.0, PowerError("gone")])
    with pytest.raises(PowerError, match=r"idle baseline: lost after 0\.0 s of 5\.0 s: gone"):
        measure_idle(meter, 5.0, NEVER_S, clock=fake_time.clock, sleep=fake_time.sleep)


def test_trace(fake_time: SimpleNamespace) -> None:
    with EnergyRecorder(
        FakeMeter([1.0, 2.0, 3.0]), NEVER_S, clock=fake_time.clock, keep_trace=True
    ) as recorder:
        fake_time.now_s += 0.5
        recorder.sample()
        fake_time.now_s += 1.0
    assert recorder.trace == [(0.0, 1.0), (0.5, 2.0), (1.5, 3.0)]
    assert run(FakeMeter([1.0, 2.0]), fake_time, [1.0]).trace == []  # it would grow for days


def test_monotonic_clock_that_steps_back(fake_time: SimpleNamespace) -> None:
    summary = run(FakeMeter([2.0, 4.0, 6.0, 8.0]), fake_time, [1.0, -0.25, 2.0]).summary()
    assert summary.energy_j == pytest.approx(3.0)  # what was before it stays
    assert summary.duration_s == pytest.approx(1.0)
    assert "LOST after 1.0 s of 2.8 s: fake: the clock stepped back by 0.25 s" in summary.detail


@pytest.mark.parametrize(
    ("step_s", "text"), [(-120.0, "set back by 120.0 s"), (3600.0, "set forward by 3600.0 s")]
)
def test_wall_clock_that_is_set(
    step_s: float, text: str, fake_time: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    wall = SimpleNamespace(offset_s=1_795_161_600.0)
    with EnergyRecorder(
        FakeMeter([2.0] * 5),
        NEVER_S,
        clock=fake_time.clock,
        wall=lambda: wall.offset_s + fake_time.now_s,
    ) as recorder:
        for offset_s in (0.0, step_s, 0.0):
            fake_time.now_s += 1.0
            wall.offset_s += offset_s
            recorder.sample()
        fake_time.now_s += 1.0
    summary = recorder.summary()
    assert summary.energy_j == pytest.approx(8.0)
    assert summary.clock_step_s == pytest.approx(step_s)
    assert summary.started_at == 1_795_161_600.0 + 1000.0
    assert [text in record.getMessage() for record in caplog.records] == [True]


def test_wall_clock_that_runs_on(
    fake_time: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(FakeMeter([2.0] * 3), fake_time, [0.0, 0.0]).summary().clock_step_s == 0.0
    assert caplog.records == []


def test_reading_that_takes_its_time_counts_from_its_middle(fake_time: SimpleNamespace) -> None:
    class Slow(FakeMeter):
        def read_w(self) -> float:
            fake_time.now_s += 0.2
            return super().read_w()

    summary = run(Slow([2.0, 4.0]), fake_time, [1.0]).summary()
    assert summary.duration_s == pytest.approx(1.2)  # from the middle of one to that of the next
    assert summary.energy_j == pytest.approx(3.0 * 1.2)


def state(*throttled: str, **events: int) -> MachineState:
    return MachineState({"cpu": 50.0}, {"cpu": 1500.0}, "performance", None, throttled, events)


def test_clocks_and_throttling(fake_time: SimpleNamespace) -> None:
    states = iter([state(core=1), state("Processor", core=3)])
    with EnergyRecorder(
        FakeMeter([1.0] * 2), NEVER_S, clock=fake_time.clock, read_state=lambda: next(states)
    ) as recorder:
        assert recorder.summary().throttled == ()  # so far
    summary = recorder.summary()
    assert summary.throttled == ("Processor", "core")
    assert summary.before is not None
    assert summary.after is not None
    assert summary.after.events == {"core": 3}
    assert run(FakeMeter([1.0] * 2), fake_time, [1.0]).summary().throttled is None


@pytest.mark.parametrize("rate_hz", [4.0, 8.0, 15.0, 24.0, 25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("interval_s", [0.25, 0.5])
def test_no_load_at_a_fixed_rate_is_in_step_with_the_readings(
    interval_s: float, rate_hz: float
) -> None:
    times_s = list(itertools.accumulate(itertools.islice(uneven(interval_s), 400)))
    assert times_s[-1] == pytest.approx(400 * interval_s, rel=0.01)
    for duty in (0.1, 0.5):
        for phase in (0.0, 0.3, 0.7):
            busy = [(time_s * rate_hz + phase) % 1.0 < duty for time_s in times_s]
            assert sum(busy) / len(busy) == pytest.approx(duty, abs=0.08)
