"""The capturing thread: what is dropped, what is not, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.frame_queue import DEPTH, FrameQueue
from edge_pose.handover import NotReadyError
from edge_pose.types import Frame, utc_now

WAIT_S = 10.0


def frame(index: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), index, utc_now(), time.monotonic())


class ListSource:
    """Frames by index, as fast as they are taken; an exception in the list is raised."""

    def __init__(self, items: list[int | Exception], *, live: bool = False) -> None:
        self.name, self.live = "list", live
        self.frame_rate: float | None = None
        self.frame_count: int | None = None
        self.given = 0
        self.finished = threading.Event()
        self._items = items

    def frames(self) -> Iterator[Frame]:
        try:
            for item in self._items:
                if isinstance(item, Exception):
                    raise item
                self.given += 1
                yield frame(item)
        finally:
            self.finished.set()

    def close(self) -> None:
        pass


def drain(frames: FrameQueue, seen: list[int]) -> list[int]:
    while (taken := frames.get(WAIT_S)) is not None:
        seen.append(taken.index)
    return seen


def rest(frames: FrameQueue) -> list[int]:
    return drain(frames, [])


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_file_is_read_ahead_and_loses_nothing() -> None:
    source = ListSource(list(range(50)))
    with FrameQueue(source) as frames:
        until(lambda: source.given == DEPTH + 1)  # one waits for space
        time.sleep(0.05)
        assert source.given == DEPTH + 1
        assert rest(frames) == list(range(50))
        assert frames.dropped == 0


def test_a_live_source_keeps_only_the_newest_frame_and_counts_the_rest() -> None:
    source = ListSource(list(range(50)), live=True)
    with FrameQueue(source) as frames:
        assert source.finished.wait(WAIT_S)  # it never waited for the consumer
        newest = frames.get(WAIT_S)
        assert newest is not None
        assert newest.index == 49
        assert frames.dropped == 49
        assert frames.get(WAIT_S) is None


def test_frames_that_the_source_itself_left_out_are_counted() -> None:
    with FrameQueue(ListSource([2, 3, 7, 8])) as frames:
        assert rest(frames) == [2, 3, 7, 8]
        assert frames.dropped == 2 + 3


@pytest.mark.parametrize("live", [False, True])
def test_an_error_comes_after_the_frames_before_it(live: bool) -> None:
    problem = SourceError("clip.mp4: ended after frame 2 of 9")
    with FrameQueue(ListSource([0, 1, problem], live=live)) as frames:
        seen: list[int] = []
        with pytest.raises(SourceError) as caught:
            drain(frames, seen)
        assert caught.value is problem
        # A live one may have dropped the older frame, never the last one.
        assert seen[-1] == 1
        assert len(seen) + frames.dropped == 2


def test_an_error_of_another_kind_is_not_swallowed() -> None:
    with FrameQueue(ListSource([ZeroDivisionError()])) as frames, pytest.raises(ZeroDivisionError):
        frames.get(WAIT_S)


def test_no_frame_in_time() -> None:
    release = threading.Event()

    class Silent(ListSource):
        def frames(self) -> Iterator[Frame]:
            release.wait(WAIT_S)
            yield frame(0)

    with FrameQueue(Silent([], live=True)) as frames:
        with pytest.raises(NotReadyError):
            frames.get(0.01)
        release.set()
        taken = frames.get(WAIT_S)
        assert taken is not None
        assert taken.index == 0


def test_leaving_ends_a_thread_that_waits_for_space() -> None:
    source = ListSource(list(range(1000)))
    with FrameQueue(source) as frames:
        assert frames.get(WAIT_S) is not None
        until(lambda: source.given > DEPTH)
    until(lambda: not any(thread.name == "capture" for thread in threading.enumerate()))
    assert source.given < 1000


def test_leaving_twice_as_fast_as_the_first_frame() -> None:
    for _ in range(20):
        with FrameQueue(ListSource([])):
            pass
    until(lambda: not any(thread.name == "capture" for thread in threading.enumerate()))
