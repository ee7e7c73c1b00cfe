"""The clock is the test's: nothing here waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.camera import Camera, OneAtATime
from edge_pose.types import Frame, utc_now


class Clip:
    """Frames that take some time to read."""

    name, live, frame_rate, frame_count = "clip", False, 25.0, 6

    def __init__(self, clock: FakeClock | None = None, reading_s: float = 0.0) -> None:
        self.closed = 0
        self._clock, self._reading_s = clock, reading_s

    def frames(self) -> Iterator[Frame]:
        for index in range(6):
            if self._clock is not None:
                self._clock.now_s += self._reading_s
            yield Frame(np.zeros((2, 2, 3), np.uint8), index, utc_now(), captured_s=-1.0)

    def close(self) -> None:
        self.closed += 1


class FakeClock:
    """Sleeping puts it forward."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def play(rate_hz: float, working_s: float, max_frames: int | None = None) -> tuple[Camera, list]:
    """Return the camera and (index, captured_s, now_s) of each frame."""
    clock = FakeClock()
    camera = Camera(Clip(clock, 0.01), rate_hz, max_frames, clock=clock, sleep=clock.sleep)
    seen = []
    for frame in camera.frames():
        seen.append((frame.index, round(frame.captured_s, 6), round(clock.now_s, 6)))
        clock.now_s += working_s
    return camera, seen


def test_a_frame_is_captured_when_it_is_due_and_read_after_that() -> None:
    camera, seen = play(rate_hz=10.0, working_s=0.02)
    assert seen == [(i, round(100 + i / 10, 6), round(100 + i / 10 + 0.01, 6)) for i in range(6)]
    assert camera.offered == 6
    assert camera.live


def test_what_its_successor_overtook_is_dropped() -> None:
    # Each frame takes 0.15 s and 0.01 s for reading, every 0.1 s there is another one.
    camera, seen = play(rate_hz=10.0, working_s=0.15)
    assert [index for index, _, _ in seen] == [0, 1, 3, 4]
    assert all(captured_s == 100 + index / 10 for index, captured_s, _ in seen)
    assert camera.offered == 6


def test_it_is_switched_off_after_so_many_frames() -> None:
    camera, seen = play(rate_hz=10.0, working_s=0.0, max_frames=4)
    assert (len(seen), camera.offered) == (4, 4)


def test_closing_a_camera_ends_it() -> None:
    clip = Clip()
    camera = Camera(clip, 0.01)  # the second frame would be due in 100 s
    frames = camera.frames()
    next(frames)
    threading.Timer(0.05, camera.close).start()
    assert next(frames, None) is None
    assert clip.closed == 1


def test_one_frame_at_a_time() -> None:
    source = OneAtATime(Clip())
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(f.index for f in source.frames()))
    reader.start()
    reader.join(0.1)
    assert reader.is_alive()  # the second frame waits for the result of the first
    for _ in range(6):
        source.published()
    reader.join(5.0)
    assert seen == list(range(6))
    assert not source.live


@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_closing_wakes_whoever_waits(wait_s: float) -> None:
    clip = Clip()
    source = OneAtATime(clip)
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(f.index for f in source.frames()))
    reader.start()
    reader.join(wait_s)
    source.close()
    reader.join(5.0)
    assert not reader.is_alive()
    assert len(seen) <= 1
    assert clip.closed == 1
