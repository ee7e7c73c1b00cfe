from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fleet.reckoning import Arrivals, percentiles_ms, reckon


def test_reckoning_by_hand() -> None:
    due_s = np.array([[0.0, 1.0, 2.0, 3.0], [0.5, 1.5, 2.5, 3.5]])
    sent_s = due_s + 0.1
    sent_s[1, 3] = np.nan  # not sent
    pairs = [
        (0, 0, 0.3),  # warm-up
        (0, 1, 1.2),
        (0, 1, 9.9),  # again
        (0, 2, 2.6),
        (1, 1, 1.7),
        (1, 2, 2.7),
        (1, 3, 3.8),  # nobody sent this one
        (2, 1, 1.0),  # nobody is device 2
    ]
    devices, frames, arrived_s = zip(*pairs, strict=True)
    arrivals = Arrivals(np.array(devices), np.array(frames), np.array(arrived_s))
    found = reckon(due_s, sent_s, arrivals, warm_up_frames=1)
    assert (found.due, found.sent, found.received, found.lost, found.unsent) == (6, 5, 4, 1, 1)
    assert (found.duplicates, found.unknown) == (1, 2)
    assert (found.devices_with_loss, found.worst_device_lost) == (1, 1)
    assert sorted(found.delay_s.tolist()) == pytest.approx([0.1, 0.1, 0.1, 0.5])
    assert found.lateness_s.tolist() == pytest.approx([0.1] * 5)


def test_percentiles() -> None:
    assert percentiles_ms(np.array([])) is None
    found = percentiles_ms(np.arange(101) / 1000)
    assert found == pytest.approx({"p50": 50, "p95": 95, "p99": 99, "max": 100})
