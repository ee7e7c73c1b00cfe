"""Turns, and why they are taken; accuracy by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.passes import Instruments
from benchmarks.peers_accuracy import DRAWS, bounds, draws, hits, measure
from benchmarks.peers_measure import BLOCK, Contestant, Turns, run_round
from benchmarks.people import People, Person
from edge_pose.errors import EdgePoseError
from edge_pose.estimator import Stopwatch
from edge_pose.metrics.pck import MEAN12
from edge_pose.power import Accuracy, PowerMeter, read_state
from edge_pose.preprocess import Region
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray, Image, Pose

MS = 2.0**-10  # nearly: sums of it are exact
TWELVE = [MPII16.index(name) for name in MEAN12]


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.load: Callable[[float], float] = lambda _: 1.0

    def work(self, seconds: float) -> None:
        self.now_s += seconds * self.load(self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: made.now_s)
    return made


class Worker:
    """A poser that takes its time, on the clock of the test."""

    keypoint_format: KeypointFormat = MPII16
    input_size = (32, 32)

    def __init__(self, name: str, clock: Clock, network_s: float, log: list[str]) -> None:
        self.name, self._clock, self._network_s, self._log = name, clock, network_s, log

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        self._log.append(self.name)
        self._clock.work(MS)
        with (stopwatch or Stopwatch()).time("infer"):
            self._clock.work(self._network_s)
        joints = np.full((16, 2), region.size[0], np.float32)
        return Pose(joints, np.ones(16, np.float32), np.zeros(4, np.float32), 1.0)

    def close(self) -> None:
        pass


class FourWatts(PowerMeter):
    name, detail = "four", "four watts"

    def read_w(self) -> float:
        return 4.0


INSTRUMENTS = Instruments(FourWatts(), read_state)


def crowd(count: int) -> People:
    image = np.zeros((8, 8, 3), np.uint8)
    zeros, nowhere = np.zeros((16, 2), np.float32), np.zeros(16, np.bool_)
    person = Person(lambda: image, (4.0, 4.0), 8.0, zeros, nowhere, 1.0)
    return People((person,) * count, "crowd")


def contestants(clock: Clock, log: list[str]) -> list[Contestant]:
    times = {"a": MS, "b": 3 * MS, "c": 9 * MS}
    factors = {"a": 1.0, "b": 1.25, "c": 1.25}
    return [Contestant(n, Worker(n, clock, s, log), factors[n]) for n, s in times.items()]


def test_everybody_takes_turns_and_another_one_begins_each_time(clock: Clock) -> None:
    log: list[str] = []
    three = contestants(clock, log)
    turns = "".join
    run_round(three, crowd(2 * BLOCK + 2), 1, INSTRUMENTS, 0.0)
    # A block of people and a first look that does not count; the last block has two people.
    full, last = BLOCK + 1, 3
    expected = [(name, full) for name in "abc" + "bca"] + [(name, last) for name in "cab"]
    assert turns(log) == "".join(name * times for name, times in expected)
    log.clear()
    run_round(three, crowd(BLOCK), 2, INSTRUMENTS, 0.0)
    assert turns(log) == "".join(name * full for name in "bca")


def test_what_is_timed(clock: Clock) -> None:
    done = run_round(contestants(clock, []), crowd(BLOCK + 1), 1, INSTRUMENTS, 0.0)
    assert {name: len(turns.whole_s) for name, turns in done.items()} == dict.fromkeys("abc", 10)
    assert done["b"].network_s == [3 * MS] * 10
    assert done["b"].whole_s == [4 * MS] * 10
    # Each has its own crop.
    assert [turns.keypoints[0][0, 0] for turns in done.values()] == [8.0, 10.0, 10.0]
    assert done["a"].watts == []


def test_a_noisy_machine_hurts_all_alike(clock: Clock) -> None:
    # Slower and slower, up to five times: one after the other, c would seem 20 times as slow as a.
    start_s = clock.now_s
    clock.load = lambda now_s: 1.0 + 4.0 * min((now_s - start_s) / 4.0, 1.0)
    done = run_round(contestants(clock, []), crowd(14 * BLOCK), 1, INSTRUMENTS, 0.0)
    a, b, c = (float(np.median(done[name].network_s)) for name in "abc")
    assert a > 1.5 * MS  # it was noisy indeed
    assert b / a == pytest.approx(3.0, rel=0.1)
    assert c / a == pytest.approx(9.0, rel=0.1)


def test_power_is_measured_while_each_works_alone(clock: Clock) -> None:
    log: list[str] = []
    done = run_round(contestants(clock, log), crowd(2), 1, INSTRUMENTS, 120 * MS)
    assert {name: turns.fps for name, turns in done.items()} == {"a": 512.0, "b": 256.0, "c": 102.4}
    assert all(turns.mean_w == 4.0 for turns in done.values())
    assert "".join(log)[9:] == "a" * 60 + "b" * 30 + "c" * 12


def test_power_is_measured_in_turns_that_the_meter_can_tell_apart(clock: Clock) -> None:
    log: list[str] = []
    done = run_round(contestants(clock, log), crowd(2), 1, INSTRUMENTS, 1.0)
    assert [len(turns.watts) for turns in done.values()] == [2, 2, 2]  # half a second each
    log.clear()
    slow = FourWatts()
    slow.accuracy = Accuracy(update_s=0.2)
    done = run_round(contestants(clock, log), crowd(2), 1, Instruments(slow, read_state), 1.6)
    assert [len(turns.watts) for turns in done.values()] == [2, 2, 2]
    assert done["a"].watts[0].duration_s == pytest.approx(0.8, abs=3 * MS)


def test_watts_of_turns_are_weighted_by_their_time(clock: Clock) -> None:
    done = run_round(contestants(clock, []), crowd(2), 1, INSTRUMENTS, 0.5)
    (turn,) = done["a"].watts
    longer = replace(turn, frames=64, duration_s=1.5, power=replace(turn.power, mean_w=8.0))
    both = Turns(watts=[replace(turn, frames=64, duration_s=0.5), longer])
    assert both.fps == 64.0
    assert both.mean_w == 7.0  # (4 · 0.5 + 8 · 1.5) / 2
    assert both.lost is None
    gone = replace(turn, power=replace(turn.power, lost="after 1 s: unplugged"))
    assert Turns(watts=[turn, gone]).lost == "after 1 s: unplugged"


def test_a_clock_that_steps_back(clock: Clock) -> None:
    three = contestants(clock, [])
    clock.load = lambda _: -1.0
    with pytest.raises(EdgePoseError, match="clock: stepped back"):
        run_round(three, crowd(2), 1, INSTRUMENTS, 0.0)


def two_people() -> People:
    """Both with a head of 20 px, so that 10 px is the limit; one left ankle is not annotated."""
    truth = np.arange(32, dtype=np.float32).reshape(16, 2) * 10
    all_there = np.ones(16, np.bool_)
    no_ankle = all_there.copy()
    no_ankle[MPII16.index("left_ankle")] = False
    persons = [
        Person(lambda: np.zeros((2, 2, 3), np.uint8), (0.0, 0.0), 1.0, truth, present, 20.0)
        for present in (no_ankle, all_there)
    ]
    return People(tuple(persons), "two", "PCKh@0.5")


def found(*moved: dict[str, float]) -> list[FloatArray]:
    """Return the truth of each person with joints moved by so many px; the other four unknown."""
    people = two_people()
    rows = []
    for person, shifts in zip(people.persons, moved, strict=True):
        row = np.full((16, 2), np.nan, np.float32)
        row[TWELVE] = person.keypoints[TWELVE]
        for name, px in shifts.items():
            row[MPII16.index(name), 0] += px
        rows.append(row)
    return rows


FOUND = ({"right_wrist": 10.1, "left_ankle": 99.0}, {"right_ankle": 9.9, "left_knee": 10.1})


def test_pckh_by_hand() -> None:
    # Of two people each: right wrist and left knee 50 %, the left ankle is only the second's.
    result = measure(found(*FOUND), two_people())
    assert result.mean12 == pytest.approx((10 * 100 + 2 * 50) / 12)
    assert result.per_joint["right_wrist"] == result.per_joint["left_knee"] == 50.0
    assert result.per_joint["right_ankle"] == result.per_joint["left_ankle"] == 100.0
    assert np.isnan(result.per_joint["head_top"])
    assert result.n_persons == 2


def test_hits_by_hand() -> None:
    rows = hits(found(*FOUND), two_people())
    assert rows.shape == (2, 12)
    first, second = (dict(zip(MEAN12, row, strict=True)) for row in rows)
    assert np.isnan(first.pop("left_ankle"))
    assert {name for name, hit in first.items() if hit == 0.0} == {"right_wrist"}
    assert {name for name, hit in second.items() if hit == 0.0} == {"left_knee"}


def test_draws_of_two_people_by_hand() -> None:
    # Both of them, twice the first one, twice the second one: (10·100 + 2·50)/12, and 11 joints of
    # which one is wrong, and 12 of which one is.
    means = draws(hits(found(*FOUND), two_people()))
    assert means.shape == (DRAWS,)
    shares = {value: float(np.mean(np.isclose(means, value))) for value in (1100 / 12, 1000 / 11)}
    assert shares[1100 / 12] == pytest.approx(0.75, abs=0.05)  # two ways to the same mean
    assert shares[1000 / 11] == pytest.approx(0.25, abs=0.05)


def test_the_interval_is_of_paired_draws() -> None:
    rng = np.random.default_rng(0)
    easy = 100.0 * (rng.random((200, 12)) < rng.random((200, 1)))
    harder = easy.copy()
    harder[:20, 0] = 0.0
    low, high = bounds(draws(easy) - draws(harder))
    gap = float(easy.mean() - harder.mean())
    assert 0.0 < low < gap < high
    alone = bounds(draws(easy))
    assert high - low < 0.3 * (alone[1] - alone[0])  # people differ, the difference hardly does
    same = draws(easy) - draws(easy)
    assert bounds(same) == (0.0, 0.0)
