"""Items from one thread to another: what is held back, and until when. More in test_frame_queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edge_pose.handover import Handover, NotReadyError

WAIT_S = 10.0


class Steps:
    """Numbers from 0, each made when the test says so; `in_work` tells that one is being made."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.in_work = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self._count, self._error = count, error

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            self.in_work.release()
            assert self._go.acquire(timeout=WAIT_S)
            yield number
        if self._error is not None:
            raise self._error

    def make(self) -> None:
        assert self.in_work.acquire(timeout=WAIT_S)
        self._go.release()


def nothing_ready(handover: Handover[int]) -> bool:
    with pytest.raises(NotReadyError):
        handover.get(0.05)
    return True


def test_an_item_is_held_back_until_the_next_one_is_made() -> None:
    steps = Steps(2)
    with Handover(steps, 2, hold=True, name="steps") as handover:
        steps.make()
        assert nothing_ready(handover)
        steps.make()
        assert [handover.get(WAIT_S) for _ in range(3)] == [0, 1, None]


def test_releasing_hands_an_item_on_while_the_next_one_is_made() -> None:
    taken = threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        handover.release()
        handover.release()  # there is nothing more
        assert taken.wait(WAIT_S)
        yield 1

    handover = Handover(numbers(), 1, hold=True, name="numbers")
    with handover:
        assert handover.get(WAIT_S) == 0
        taken.set()
        assert [handover.get(WAIT_S) for _ in range(2)] == [1, None]


def test_what_is_held_back_comes_before_an_error() -> None:
    steps = Steps(1, ZeroDivisionError())
    with Handover(steps, 2, hold=True, name="steps") as handover:
        steps.make()
        assert handover.get(WAIT_S) == 0
        with pytest.raises(ZeroDivisionError):
            handover.get(WAIT_S)


def test_an_item_that_is_held_back_takes_a_place() -> None:
    steps = Steps(3)
    with Handover(steps, 1, hold=True, name="steps") as handover:
        for _ in range(2):
            steps.make()
        # The first waits to be taken, and the second for its place: the third is not begun.
        assert not steps.in_work.acquire(timeout=0.05)
        assert handover.get(WAIT_S) == 0
        steps.make()
        assert [handover.get(WAIT_S) for _ in range(3)] == [1, 2, None]


def test_leaving_ends_a_thread_that_waits_for_a_place() -> None:
    steps = Steps(9)
    with Handover(steps, 1, hold=True, name="steps"):
        for _ in range(2):
            steps.make()
    assert not any(thread.name == "steps" for thread in threading.enumerate())
