from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from edge_pose.publishers.outbox import Note, Outbox


def drain(box: Outbox) -> list[bytes]:
    return list(iter(box.take, None))


def test_the_oldest_is_dropped() -> None:
    box = Outbox(3)
    for payload in (b"1", b"2", b"3", b"4", b"5"):
        box.put(payload)
    assert drain(box) == [b"3", b"4", b"5"]
    assert box.dropped == 2


def test_a_returned_message_comes_first_unless_there_is_no_space() -> None:
    box = Outbox(2)
    box.put(b"1")
    box.put(b"2")
    first = box.take()
    box.put_back(first)
    assert drain(box) == [b"1", b"2"]
    box.put(b"3")
    box.put(b"4")
    box.put_back(b"2")
    assert drain(box) == [b"3", b"4"]
    assert box.dropped == 1


def test_put_waits_until_the_sender_takes() -> None:
    box = Outbox(1)
    box.put(b"1")
    waiting = threading.Thread(target=box.put, args=(b"2", 30))
    waiting.start()
    assert box.take() == b"1"
    waiting.join()
    assert box.take() == b"2"
    assert box.dropped == 0


def test_close_releases_who_waits_and_counts_the_rest() -> None:
    box = Outbox(1)
    box.put(b"1")
    waiting = threading.Thread(target=box.put, args=(b"2", 30))
    waiting.start()
    box.close()
    waiting.join()
    assert (box.sent, box.dropped) == (0, 2)
    assert box.take() is None


def test_only_the_newest_note_of_a_topic_waits() -> None:
    box = Outbox(1)
    for payload in (b"1", b"2"):
        box.note("stats", payload, retain=False)
        box.note("state", payload, retain=True)
    assert not box.empty
    assert [box.take_note(), box.take_note(), box.take_note()] == [
        Note("stats", b"2", False),
        Note("state", b"2", True),
        None,
    ]
    box.repeat_retained()
    assert [box.take_note(), box.take_note()] == [Note("state", b"2", True), None]


def test_a_note_that_waits_is_newer_than_the_retained_one() -> None:
    box = Outbox(1)
    box.note("state", b"1", retain=True)
    assert box.take_note() is not None
    box.note("state", b"2", retain=True)
    box.repeat_retained()
    assert [box.take_note(), box.take_note()] == [Note("state", b"2", True), None]


@given(
    size=st.integers(1, 5),
    steps=st.lists(st.sampled_from(["put", "send", "fail", "lost"]), max_size=60),
)
def test_every_message_is_counted_once(size: int, steps: list[str]) -> None:
    box = Outbox(size)
    given_count = 0
    for step in steps:
        if step == "put":
            box.put(b"x")
            given_count += 1
        elif step == "lost":
            box.count_lost()
            given_count += 1
        elif (payload := box.take()) is not None:
            if step == "send":
                box.mark_sent()
            else:
                box.put_back(payload)
    waiting = len(drain(box))
    assert box.sent + box.dropped + waiting == given_count
    box.close()
    assert box.sent + box.dropped == given_count
