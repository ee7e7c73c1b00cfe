from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.feed import Feed


def test_the_newest_until_it_is_stale(fake_time: SimpleNamespace) -> None:
    feed = Feed("plug", 30.0, fake_time.clock)
    feed.put(5.0)
    assert feed.update_s == 30.0  # one alone says nothing of the next
    fake_time.now_s += 12.0
    feed.put(6.0)
    fake_time.now_s += 30.0
    assert feed.latest_w() == 6.0
    assert feed.update_s == 12.0
    fake_time.now_s += 1.0
    with pytest.raises(PowerError, match=r"^plug: the last reading is 31 s old$"):
        feed.latest_w()
    feed.note("connection refused")
    with pytest.raises(PowerError, match=r"31 s old \(connection refused\)"):
        feed.latest_w()
    feed.put(7.0)  # it is back
    assert feed.latest_w() == 7.0


def test_nothing_arrives(fake_time: SimpleNamespace) -> None:
    feed = Feed("plug", 30.0, fake_time.clock)
    with pytest.raises(PowerError, match=r"plug: no reading$"):
        feed.latest_w()
    feed.note("timed out")
    with pytest.raises(PowerError, match=r"plug: no reading within 30 s \(timed out\)"):
        feed.wait(0.01)


def test_failure_ends_the_wait() -> None:
    feed = Feed("plug", 60.0)
    threading.Timer(0.05, feed.fail, ["not authorised"]).start()
    with pytest.raises(PowerError, match="not authorised"):
        feed.wait()
    feed.put(3.0)
    with pytest.raises(PowerError, match="no reading"):
        feed.latest_w()
