from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.publishers.real_time import MAX_GAP_S, TOLERANCE, RealTime


def missing(times_s: list[float], rate_hz: float = 30.0) -> list[int]:
    film = RealTime(rate_hz)
    return [film.missing(time_s) for time_s in times_s]


@pytest.mark.parametrize("rate_hz", [0.1, 12.5, 29.97, 120.0])
def test_nothing_is_missing_at_the_films_own_rate(rate_hz: float) -> None:
    assert missing([1000.0 + i / rate_hz for i in range(1000)], rate_hz) == [0] * 1000


def test_jitter_is_no_gap() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(300) / 30 + rng.uniform(0, 0.6 / 30, 300)
    assert sum(missing(times_s.tolist())) == 0


def test_dropped_frames_are_made_up_for() -> None:
    assert missing([i / 30 for i in (0, 1, 2, 5, 6, 8)]) == [0, 0, 0, 2, 0, 1]


def test_a_camera_at_half_its_nominal_rate() -> None:
    assert missing([i / 15 for i in range(100)]) == [0] + [1] * 99


def test_a_long_gap_is_shortened_once() -> None:
    times_s = [0.0, 1 / 30, 600.0, 600.0 + 1 / 30, 600.0 + 4 / 30]
    assert missing(times_s) == [0, 0, round(MAX_GAP_S * 30), 0, 2]


def test_even_a_slow_film_may_repeat_a_picture() -> None:
    assert missing([0.0, 20.0, 30.0, 100.0, 110.0], 0.1) == [0, 1, 0, 1, 0]


@given(st.lists(st.floats(0, 1.9), min_size=1), st.floats(1, 120))
def test_the_film_is_never_a_frame_behind_and_repeats_no_more_than_is_due(
    gaps_s: list[float], rate_hz: float
) -> None:
    film = RealTime(rate_hz)
    frames = 0
    for time_s in np.cumsum(gaps_s) - gaps_s[0]:
        missing = film.missing(time_s)
        frames += missing + 1
        due = time_s * rate_hz + 1
        assert frames > due - TOLERANCE - 1e-6
        assert missing == 0 or frames < due + 1 - TOLERANCE + 1e-6
