from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.external_log import parse_instant, parse_line, read_log

POWER = Path(__file__).parents[2] / "fixtures/power"
T0_S = 1_795_161_600.0  # 2026-11-20 08:00:00 UTC


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_ptdaemon() -> None:
    log = read_log(POWER / "ptdaemon.txt", utc=True)
    assert log.times_s[0] == T0_S + 0.25
    assert log.watts == (21.1, 21.3, 22.95, 24.4, 24.6, 22.0)
    # (21.1+21.3)/2 + (21.3+22.95)/2 + (22.95+24.4)/2 + (24.4+24.6)/2 + (24.6+22)/2 over 5 s
    summary = log.between(T0_S + 0.25, T0_S + 5.25)
    assert summary.energy_j == pytest.approx(114.8, rel=1e-6)
    assert (summary.samples, summary.meter, summary.scope) == (6, "file", "wall")
    assert summary.detail == "log ptdaemon.txt"


def test_local_time_of_the_machine(in_berlin: None) -> None:
    assert read_log(POWER / "ptdaemon.txt").times_s[0] == T0_S + 0.25 - 3600


def test_ends_between_two_readings_are_interpolated() -> None:
    log = read_log(POWER / "seconds_watts.csv")
    # 5.25 W at 0.25 s, 5.5 at 0.5, 6 at 1.0, 5.2 at 1.4
    expected_j = 5.375 * 0.25 + 5.75 * 0.5 + 5.6 * 0.4
    summary = log.between(T0_S + 0.25, T0_S + 1.4)
    assert summary.energy_j == pytest.approx(expected_j, rel=1e-6)
    assert summary.duration_s == pytest.approx(1.15)
    assert log.between(T0_S + 0.1, T0_S + 0.2).mean_w == pytest.approx(5.15)  # within one step


@pytest.mark.parametrize(("start_s", "end_s"), [(2, 1), (1, 1), (99, -1)])
def test_an_end_that_is_not_after_the_start(start_s: float, end_s: float) -> None:
    log = read_log(POWER / "seconds_watts.csv")
    with pytest.raises(PowerError, match=r"^file: seconds_watts.csv: 2026-11-.*Z is not after 20"):
        log.between(T0_S + start_s, T0_S + end_s)


@pytest.mark.parametrize(("start_s", "end_s"), [(-1, 2), (1, 99)])
def test_what_the_log_does_not_hold(start_s: float, end_s: float) -> None:
    log = read_log(POWER / "seconds_watts.csv")
    with pytest.raises(PowerError, match=r"2026-11-20T0.*Z is asked for, the log has 2026"):
        log.between(T0_S + start_s, T0_S + end_s)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", None),
        ("  # by hand", None),
        ("1795161600.5,3.25", (T0_S + 0.5, 3.25)),
        ("2026-11-20T08:00:00.5Z, 3.25", (T0_S + 0.5, 3.25)),
        ("2026-11-20T09:00:00.500+01:00,3.25,extra", (T0_S + 0.5, 3.25)),
        ("Time,11-20-2026 08:00:00.500,Volts,230.1,Watts,3.25", (T0_S + 0.5, 3.25)),
    ],
)
def test_lines(line: str, expected: tuple[float, float] | None) -> None:
    assert parse_line(line, utc=True) == expected


@pytest.mark.parametrize(
    "line",
    ["3.25", "yesterday,3", "1,two", "1,-3", "1,nan", "inf,3", "Time,20-11-2026 08:00:00.5,Watts,3",
     "Time,11-20-2026 08:00:00.500,Volts,3", "Time"],
)  # fmt: skip
def test_lines_of_another_form(line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found .*expected"):
        parse_line(line)
    file = tmp_path / "log.csv"
    file.write_text(f"0,1\n1,1\n{line}\n")
    with pytest.raises(PowerError, match=r"log\.csv:3: found .*expected"):
        read_log(file)


def test_logger_whose_clock_was_set_back(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("s,w\n10,1\n11,1\n9,1\n")
    text = r"log\.csv:4: 1970-01-01T00:00:09\.000Z is not after the line before: the logger's clock"
    with pytest.raises(PowerError, match=text):
        read_log(file)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("s,w\n", 0), ("1,2\n", 1)])
def test_too_few_readings(text: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(PowerError, match=f"found {count} readings, expected two or more"):
        read_log(tmp_path / "log.csv")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="cannot be read: No such file"):
        read_log(tmp_path / "none.csv")


def test_instants(in_berlin: None) -> None:
    assert parse_instant("1795161600") == T0_S
    assert parse_instant("2026-11-20T08:00:00Z") == T0_S
    assert parse_instant("2026-11-20T09:00:00") == T0_S  # local
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_instant("soon")
