from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from types import SimpleNamespace

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.recorder import EnergyRecorder

NEVER_S = 3600.0  # the test takes the samples itself


class FakeMeter:
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
    assert summary.detail == "rail VDD; LOST after 1.0 s of 4.0 s: fake: rail is gone"
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
