from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fleet.schedule import Schedule


def test_a_schedule_is_steady_and_out_of_step() -> None:
    schedule = Schedule(5, 10.0, 1.0, 2.0, "prefix/run", groups=2)
    due_s = schedule.due_s()
    assert due_s.shape == (5, 30)
    assert np.diff(due_s, axis=1) == pytest.approx(0.1)
    assert len(np.unique(due_s[:, 0])) == 5
    assert 0 <= due_s.min() < due_s.max() < schedule.duration_s
    assert schedule.warm_up_frames == 10
    assert schedule.topic(3, "camera0") == "prefix/run/1/fleet-3/camera0/poses"
    assert schedule.topic_filter(1) == "prefix/run/1/#"
