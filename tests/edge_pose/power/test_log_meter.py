"""A log that grows while it is read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_pose.errors import PowerError, UsageError
from edge_pose.power import open_meter
from edge_pose.power.log_meter import LogMeter
from edge_pose.power.recorder import EnergyRecorder
from edge_pose.profile import load_profile


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.csv"
    file.write_text("seconds,watts\n1,99\n")
    return file


def add(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def opened(log: Path, time: SimpleNamespace, first: str = "2,4.5\n") -> LogMeter:
    """Open; the first new line comes while the meter waits."""

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        add(log, first)

    return LogMeter(log, 10.0, clock=time.clock, sleep=sleep)


def test_newest_complete_line(log: Path, fake_time: SimpleNamespace) -> None:
    meter = opened(log, fake_time)
    assert meter.read_w() == 4.5  # what was there before it was opened does not count
    add(log, "3,5.5\n4,6.5\n5,7")
    assert meter.read_w() == 6.5
    add(log, ".5\n")
    assert meter.read_w() == 7.5
    assert (meter.name, meter.source, meter.scope) == ("file", "measured", "wall")
    meter.close()


def test_ptdaemon_lines(log: Path, fake_time: SimpleNamespace) -> None:
    line = "Time,11-20-2026 08:00:00.250,Watts,21.100000,Volts,229.1,Amps,0.19,PF,0.51\n"
    meter = opened(log, fake_time, line)
    assert meter.read_w() == 21.1
    meter.close()


def test_repeated_readings_are_not_independent(log: Path, fake_time: SimpleNamespace) -> None:
    meter = opened(log, fake_time)
    assert meter.accuracy.update_s == 10.0  # one line alone says nothing of the next: stale_s
    add(log, "4,4.5\n6.5,4.5\n")
    meter.read_w()
    assert meter.accuracy.update_s == 2.5
    with EnergyRecorder(meter, 3600, clock=fake_time.clock) as recorder:
        fake_time.now_s += 1.0  # no line comes
    assert recorder.summary().uncertainty_w is None
    add(log, "5000,4.5\n1,4.5\n")  # the logger's clock is set
    meter.read_w()
    assert meter.accuracy.update_s == 10.0
    meter.close()


def test_log_that_grows_no_more(log: Path, fake_time: SimpleNamespace) -> None:
    meter = opened(log, fake_time)
    fake_time.now_s += 11.0
    with pytest.raises(PowerError, match=r"log\.csv: the last reading is 11 s old"):
        meter.read_w()
    meter.close()


def test_logger_that_does_not_run(log: Path, fake_time: SimpleNamespace) -> None:
    with pytest.raises(PowerError, match=r"no reading within 10 s: is the logger running\?"):
        LogMeter(log, 10.0, clock=fake_time.clock, sleep=fake_time.sleep)
    assert fake_time.slept_s >= 10.0


@pytest.mark.parametrize(
    ("text", "message"),
    [("3,many\n", "found '3,many', expected"), ("3,-5\n", "expected watts, 0 or more")],
)
def test_line_of_another_form(
    text: str, message: str, log: Path, fake_time: SimpleNamespace
) -> None:
    meter = opened(log, fake_time)
    add(log, text)
    with pytest.raises(PowerError, match=message):
        meter.read_w()
    meter.close()


def test_log_that_begins_anew(log: Path, fake_time: SimpleNamespace) -> None:
    meter = opened(log, fake_time)
    log.write_text("")
    with pytest.raises(PowerError, match="became shorter: the logger began anew"):
        meter.read_w()
    log.unlink()
    with pytest.raises(PowerError, match="cannot be read: No such file"):
        meter.read_w()
    meter.close()


def test_by_name(tmp_path: Path) -> None:
    profile = load_profile("raspberry_pi_4")
    with pytest.raises(PowerError, match=r"file: .*none\.csv: cannot be read: No such file"):
        open_meter(f"file:{tmp_path}/none.csv", profile)
    with pytest.raises(UsageError, match=r"expected file:FILE\[,stale_s=10\]"):
        open_meter("file", profile)
    with pytest.raises(UsageError, match="expected a file, not a folder"):
        open_meter(f"file:{tmp_path}/", profile)
    with pytest.raises(PowerError, match="Is a directory"):
        open_meter(f"file:{tmp_path}", profile)
