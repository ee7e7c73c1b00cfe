from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.estimate import EstimateMeter
from edge_pose.power.recorder import EnergyRecorder


def meter(root: Path, fake_time: SimpleNamespace) -> EstimateMeter:
    return EstimateMeter(2.0, 6.0, "profile x", root, clock=fake_time.clock, sleep=fake_time.sleep)


@pytest.mark.parametrize(
    ("ticks", "watts"),
    [
        ((0, 0, 0, 400, 0, 0, 0, 0), 2.0),
        ((300, 0, 100, 0, 0, 0, 0, 0), 6.0),
        ((50, 20, 20, 250, 50, 5, 5, 0), 3.0),  # 100 busy of 400
        ((100, 0, 0, 100, 100, 0, 0, 100), 3.0),  # waiting and stolen time are not busy
    ],
)
def test_straight_line(
    ticks: tuple[int, ...],
    watts: float,
    tmp_path: Path,
    fake_time: SimpleNamespace,
    write_stat: Callable[..., None],
) -> None:
    start = (4845, 33, 2829, 123592, 396, 10, 37, 10)
    write_stat(*start)
    estimate = meter(tmp_path, fake_time)
    write_stat(*(a + b for a, b in zip(start, ticks, strict=True)))
    fake_time.now_s += 1.0
    assert estimate.read_w() == pytest.approx(watts)
    estimate.close()


def test_labels(
    tmp_path: Path, fake_time: SimpleNamespace, write_stat: Callable[..., None]
) -> None:
    write_stat(1, 1, 1, 1, 1, 1, 1, 1)
    estimate = meter(tmp_path, fake_time)
    assert (estimate.name, estimate.source) == ("estimate", "estimated")
    assert estimate.detail == "from processor use: 2 W idle to 6 W busy (profile x)"


def test_each_reading_covers_the_time_since_the_previous_one(
    tmp_path: Path,
    fake_time: SimpleNamespace,
    write_stat: Callable[..., None],
) -> None:
    write_stat(0, 0, 0, 0, 0, 0, 0, 0)
    estimate = meter(tmp_path, fake_time)
    for user, idle, watts in ((100, 0, 6.0), (100, 100, 2.0), (150, 150, 4.0)):
        write_stat(user, 0, 0, idle, 0, 0, 0, 0)
        fake_time.now_s += 1.0
        assert estimate.read_w() == pytest.approx(watts)


def test_waits_until_there_is_something_to_see(
    tmp_path: Path,
    fake_time: SimpleNamespace,
    write_stat: Callable[..., None],
) -> None:
    write_stat(0, 0, 0, 0, 0, 0, 0, 0)
    estimate = meter(tmp_path, fake_time)
    assert estimate.read_w() == 2.0  # the counters stand still
    assert fake_time.slept_s == pytest.approx(0.1)


def test_rest_after_the_end_of_a_run_is_not_counted(
    tmp_path: Path,
    fake_time: SimpleNamespace,
    write_stat: Callable[..., None],
) -> None:
    write_stat(0, 0, 0, 0, 0, 0, 0, 0)
    busy = 0

    def rest(seconds: float) -> None:
        fake_time.sleep(seconds)
        write_stat(busy, 0, 0, 1000, 0, 0, 0, 0)  # all cores idle while the meter waits

    estimate = EstimateMeter(2.0, 6.0, "x", tmp_path, clock=fake_time.clock, sleep=rest)
    fake_time.now_s += 1.0
    with EnergyRecorder(estimate, 3600, clock=fake_time.clock, keep_trace=True) as recorder:
        busy = 100
        write_stat(busy, 0, 0, 0, 0, 0, 0, 0)
        fake_time.now_s += 1.0
        recorder.sample()
        fake_time.now_s += 0.004  # no tick in it: as before
    summary = recorder.summary()
    assert fake_time.slept_s == 0
    assert (summary.duration_s, summary.mean_w) == (pytest.approx(1.004), pytest.approx(6.0))
    assert (summary.min_w, summary.max_w) == (6.0, 6.0)
    assert len(recorder.trace) == 2


def test_counters_that_step_back(
    tmp_path: Path,
    fake_time: SimpleNamespace,
    write_stat: Callable[..., None],
) -> None:
    write_stat(100, 0, 0, 100, 100, 0, 0, 0)
    estimate = meter(tmp_path, fake_time)
    write_stat(200, 0, 0, 110, 50, 0, 0, 0)
    fake_time.now_s += 1.0
    assert estimate.read_w() == 6.0


def test_process_time_where_there_is_no_proc_stat(
    tmp_path: Path,
    fake_time: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = [10.0]
    fields = lambda: os.times_result((used[0], used[0] / 2, 0.0, 0.0, 0.0))  # noqa: E731
    monkeypatch.setattr(os, "times", fields)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    estimate = meter(tmp_path, fake_time)
    assert "the processor time of this process" in estimate.detail
    used[0] += 2.0  # 2 s user and 1 s system in 3 s on 4 cores: a quarter
    fake_time.now_s += 3.0
    assert estimate.read_w() == pytest.approx(3.0)


def test_real_machine() -> None:
    assert 2.0 <= EstimateMeter(2.0, 6.0, "test").read_w() <= 6.0


def test_stat_that_vanishes(
    tmp_path: Path, fake_time: SimpleNamespace, write_stat: Callable[..., None]
) -> None:
    write_stat(0, 0, 0, 0, 0, 0, 0, 0)
    estimate = meter(tmp_path, fake_time)
    (tmp_path / "proc/stat").unlink()
    fake_time.now_s += 1.0
    with pytest.raises(PowerError, match=r"estimate: .*stat: cannot be read"):
        estimate.read_w()


@pytest.mark.parametrize("text", ["", "cpu", "intr 1 2 3 4 5\n", "cpu a b c d\n"])
def test_stat_that_is_something_else(text: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(text)
    with pytest.raises(PowerError, match=r"estimate: .*stat: "):
        EstimateMeter(2.0, 6.0, "test", tmp_path)
