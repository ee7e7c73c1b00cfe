"""Contestants one after the other on the same crops, in short turns.

The people are cut into blocks. Each contestant looks at a whole block before the next one does, and
who begins moves on by one with every block and every round: whatever disturbs the machine for
longer than a block, some tenths of a second, hurts all of them alike. The first look of every turn
is not timed: the caches still hold the contestant before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.measures import check_clock
from benchmarks.passes import INTERVAL_S, Instruments
from benchmarks.peers_models import Poser
from benchmarks.people import People, Person
from edge_pose.estimator import Stopwatch
from edge_pose.power import EnergyRecorder, PowerSummary
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray, Image

BLOCK = 9  # 126 persons are fourteen of them
TURN_S = 0.5  # of work while power is measured, and at least so many of the meter's updates:
UPDATES = 4


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that finds keypoints, and the crop that it is given.

    Attributes:
        name: distinct.
        poser: ready to use.
        crop_factor: k of the crop, see Person.region.
    """

    name: str
    poser: Poser
    crop_factor: float


@dataclass(frozen=True, slots=True)
class Watts:
    """One turn of work, one estimate after the other, while power is measured.

    Attributes:
        frames: estimates.
        duration_s: of all of them.
        power: of that time.
    """

    frames: int
    duration_s: float
    power: PowerSummary


@dataclass(slots=True)
class Turns:
    """What one contestant did in one round.

    Attributes:
        network_s: of each person, the network alone.
        whole_s: of each person, with the work before and after.
        keypoints: of each person, (16, 2) px in MPII order; NaN where it knows no such joint.
        watts: of each turn with power; empty where power was not asked for.
    """

    network_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    keypoints: list[FloatArray] = field(default_factory=list)
    watts: list[Watts] = field(default_factory=list)

    @property
    def lost(self) -> str | None:
        """When and why the power meter was lost; None where it was not."""
        return next((one.power.lost for one in self.watts if one.power.lost), None)

    @property
    def fps(self) -> float:
        """Estimates per second of the turns with power."""
        return sum(one.frames for one in self.watts) / sum(one.duration_s for one in self.watts)

    @property
    def mean_w(self) -> float:
        """W over the turns with power, each weighted by its time."""
        seconds = sum(one.duration_s for one in self.watts)
        return sum(one.power.mean_w * one.duration_s for one in self.watts) / seconds


def run_round(
    contestants: Sequence[Contestant],
    people: People,
    number: int,
    instruments: Instruments,
    power_s: float,
) -> dict[str, Turns]:
    """Let everybody look at everyone once, then work for some seconds while power is measured.

    Args:
        contestants: with distinct names.
        people: to look at.
        number: of the round, from 1: it says who begins.
        instruments: the power meter.
        power_s: seconds of power for each; 0 for none.

    Raises:
        EdgePoseError: a picture cannot be read, a runtime fails, or the clock stepped back.
    """
    done = {contestant.name: Turns() for contestant in contestants}
    first: list[tuple[Image, Person]] = []
    for block, start in enumerate(range(0, len(people.persons), BLOCK)):
        persons = people.persons[start : start + BLOCK]
        seen = [(person.picture(), person) for person in persons]
        first = first or seen
        for contestant in rotated(contestants, number - 1 + block):
            _look(contestant, seen, done[contestant.name])
    for turns in done.values():
        check_clock(min(turns.network_s + turns.whole_s))
    turns_s, turn_s = 0.0, min(power_s, _turn_s(instruments))
    while turns_s < power_s:
        for contestant in rotated(contestants, number - 1):
            turn = _work(contestant, first, turn_s, instruments)
            done[contestant.name].watts.append(turn)
        turns_s += turn_s
    return done


def rotated(contestants: Sequence[Contestant], shift: int) -> list[Contestant]:
    """Return them in order, another one first."""
    shift %= len(contestants)
    return [*contestants[shift:], *contestants[:shift]]


def _turn_s(instruments: Instruments) -> float:
    """Return how long a turn must last, in s, for a meter to tell it from the one before."""
    return max(TURN_S, UPDATES * instruments.meter.accuracy.update_s)


def _look(contestant: Contestant, seen: Sequence[tuple[Image, Person]], turns: Turns) -> None:
    """Look at a block of people."""
    poser = contestant.poser
    regions = [person.region(contestant.crop_factor, poser.input_size) for _, person in seen]
    poser.estimate(seen[0][0], regions[0])
    for (image, _), region in zip(seen, regions, strict=True):
        watch = Stopwatch()
        start_s = time.perf_counter()
        pose = poser.estimate(image, region, watch)
        turns.whole_s.append(time.perf_counter() - start_s)
        turns.network_s.append(watch.stage_s["infer"])
        turns.keypoints.append(to_mpii(pose.keypoints, poser.keypoint_format))


def _work(
    contestant: Contestant,
    seen: Sequence[tuple[Image, Person]],
    seconds: float,
    instruments: Instruments,
) -> Watts:
    """Look at the same few people again and again, and measure power."""
    poser = contestant.poser
    regions = [person.region(contestant.crop_factor, poser.input_size) for _, person in seen]
    recorder = EnergyRecorder(instruments.meter, INTERVAL_S, read_state=instruments.read_state)
    count, took_s = 0, 0.0
    with recorder:
        start_s = time.perf_counter()
        while took_s < seconds:
            index = count % len(seen)
            poser.estimate(seen[index][0], regions[index])
            count += 1
            took_s = time.perf_counter() - start_s
            check_clock(took_s)
    return Watts(count, took_s, recorder.summary())


def to_mpii(keypoints: FloatArray, keypoint_format: KeypointFormat) -> FloatArray:
    """Return (16, 2) px in MPII order of (K, 2) px; NaN where the format has no such joint."""
    places = {name: index for index, name in enumerate(keypoint_format.keypoints)}
    found = np.full((len(MPII16.keypoints), 2), np.nan, np.float32)
    for index, name in enumerate(MPII16.keypoints):
        if name in places:
            found[index] = keypoints[places[name]]
    return found
