"""A clip is played again without a seam; the clock is the test's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks import repeated
from benchmarks.passes import Instruments
from benchmarks.repeated import Repeated
from edge_pose.power import MachineState, PowerMeter
from edge_pose.power.base import Accuracy
from edge_pose.types import Frame, utc_now

FRAME_S = 0.1


class Clip:
    """Six frames that take FRAME_S each; one less every time where it shrinks."""

    name, live, frame_count = "clip", False, 6

    def __init__(self, *, frame_rate: float | None = 25.0, shrinks: bool = False) -> None:
        self.frame_rate = frame_rate
        self.now_s = 0.0
        self.closed = False
        self._length, self._shrinks = 6, shrinks

    def frames(self) -> Iterator[Frame]:
        image = np.zeros((2, 2, 3), np.uint8)
        length = self._length
        self._length -= self._shrinks
        for index in range(length):
            self.now_s += FRAME_S
            yield Frame(image, index, utc_now(), self.now_s, media_s=index * 0.04)

    def close(self) -> None:
        self.closed = True


def play(clip: Clip, length: int = 6, min_s: float = 0.0) -> tuple[Repeated, list[Frame]]:
    found = Repeated(clip, length, min_s, clock=lambda: clip.now_s)
    return found, list(found.frames())


def test_once_where_nothing_more_is_asked_for() -> None:
    source, frames = play(Clip())
    assert [frame.index for frame in frames] == list(range(6))
    assert source.expected == 6


@pytest.mark.parametrize("frame_rate", [25.0, None])
def test_numbers_and_media_times_go_on(frame_rate: float | None) -> None:
    source, frames = play(Clip(frame_rate=frame_rate), min_s=1.5)
    assert [frame.index for frame in frames] == list(range(18))  # 0.6 s each, whole ones
    assert [frame.time_s for frame in frames] == pytest.approx([i * 0.04 for i in range(18)])
    assert source.expected == 18


def test_only_a_part_of_a_long_clip() -> None:
    source, frames = play(Clip(), length=4, min_s=0.5)
    assert [frame.index for frame in frames] == list(range(8))
    assert source.expected == 8


def test_it_ends_where_no_more_latencies_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "AT_MOST", 17)
    _, frames = play(Clip(), min_s=1e9)
    assert len(frames) == 12


def test_a_clip_that_shrinks_shows() -> None:
    source, frames = play(Clip(shrinks=True), min_s=1e9)
    assert (len(frames), source.expected) == (11, 12)


def test_closing_ends_it() -> None:
    clip = Clip()
    source = Repeated(clip, 6, 1e9, clock=lambda: clip.now_s)
    seen = 0
    for _ in source.frames():
        seen += 1
        if seen == 8:
            source.close()
    assert clip.closed
    assert seen == 12  # the real clips end within a play, too


def test_a_slow_meter_needs_a_longer_pass() -> None:
    class Slow(PowerMeter):
        name, detail, accuracy = "slow", "", Accuracy(update_s=1.5)

        def read_w(self) -> float:
            return 5.0

    watch = Instruments(Slow(), MachineState)
    assert watch.least_s(3.0) == 15.0
    assert watch.least_s(20.0) == 20.0
    assert watch.least_s(0.0) == 0.0
