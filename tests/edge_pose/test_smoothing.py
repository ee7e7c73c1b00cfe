from __future__ import annotations

import math

import numpy as np
import pytest

from edge_pose.config import SmoothingConfig
from edge_pose.smoothing import KeypointSmoother, OneEuroFilter
from edge_pose.types import Pose


class PaperFilter:
    """Algorithm 1 of the paper for one number, written down independently."""

    def __init__(self, min_cutoff: float, beta: float, d_cutoff: float) -> None:
        self.min_cutoff, self.beta, self.d_cutoff = min_cutoff, beta, d_cutoff
        self.last: tuple[float, float, float] | None = None  # time, value, derivative

    @staticmethod
    def alpha(cutoff: float, period: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / period)

    def __call__(self, value: float, time: float) -> float:
        if self.last is None:
            self.last = (time, value, 0.0)
            return value
        before, old, slope = self.last
        period = time - before
        a = self.alpha(self.d_cutoff, period)
        slope = a * (value - old) / period + (1 - a) * slope
        a = self.alpha(self.min_cutoff + self.beta * abs(slope), period)
        value = a * value + (1 - a) * old
        self.last = (time, value, slope)
        return value


def test_agrees_with_the_paper_for_uneven_steps() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.1, 200))
    points = np.cumsum(rng.normal(0, 5, (200, 3, 2)), axis=0) + 100
    euro = OneEuroFilter(1.5, 0.02, 0.8)
    scalars = [[PaperFilter(1.5, 0.02, 0.8) for _ in range(2)] for _ in range(3)]
    for time, raw in zip(times, points, strict=True):
        got = euro(raw.astype(np.float32), float(time))
        single = raw.astype(np.float32)
        want = [
            [scalars[k][axis](float(single[k, axis]), float(time)) for axis in (0, 1)]
            for k in range(3)
        ]
        np.testing.assert_allclose(got, want, rtol=1e-5)
        assert got.dtype == np.float32


def test_rest_is_steadied() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 2, (300, 16, 2)).astype(np.float32)
    euro = OneEuroFilter(1.0, 0.0)
    out = np.stack([euro(100 + raw, i / 30) for i, raw in enumerate(noise)])
    assert out[60:].std() < 0.5 * noise[60:].std()


def test_beta_reduces_lag_in_motion() -> None:
    ramp = [np.full((1, 2), 10.0 * i, np.float32) for i in range(60)]
    slow, fast = OneEuroFilter(1.0, 0.0), OneEuroFilter(1.0, 0.1)
    for i, raw in enumerate(ramp):
        lag_slow = float((raw - slow(raw, i / 30))[0, 0])
        lag_fast = float((raw - fast(raw, i / 30))[0, 0])
    assert lag_slow > 20
    assert 0 <= lag_fast < 3


def test_first_keypoints_and_those_after_a_reset_are_unchanged() -> None:
    euro = OneEuroFilter(1.0, 0.0)
    points = np.array([[1.0, 2.0]], np.float32)
    assert np.array_equal(euro(points, 0.0), points)
    assert not np.array_equal(euro(points + 10, 0.1), points + 10)
    euro.reset()
    assert np.array_equal(euro(points + 20, 0.2), points + 20)


@pytest.mark.parametrize("time_s", [0.1, 0.05, -50.0])
def test_time_that_does_not_advance_takes_the_last_step_again(time_s: float) -> None:
    values = [np.full((1, 2), v, np.float32) for v in (0.0, 10.0, 20.0, 30.0)]
    steady, odd = OneEuroFilter(1.0, 0.01), OneEuroFilter(1.0, 0.01)
    for i in (0, 1):
        steady(values[i], i * 0.1)
        odd(values[i], i * 0.1)
    assert np.allclose(odd(values[2], time_s), steady(values[2], 0.2))
    assert np.allclose(odd(values[3], time_s + 0.1), steady(values[3], 0.3), rtol=1e-5)


def test_repeated_first_time_stamp_is_finite() -> None:
    euro = OneEuroFilter(1.0, 0.01)
    euro(np.zeros((2, 2), np.float32), 5.0)
    out = euro(np.full((2, 2), 10, np.float32), 5.0)
    assert ((out > 0) & (out < 10)).all()


def test_untrusted_keypoint_passes_and_leaves_the_filter_alone() -> None:
    one, two = OneEuroFilter(1.0, 0.01), OneEuroFilter(1.0, 0.01)
    valid = np.array([True, False])
    for euro in (one, two):
        euro(np.array([[0, 0], [0, 0]], np.float32), 0.0)
    outlier = one(np.array([[5, 5], [900, 900]], np.float32), 0.1, valid)
    two(np.array([[5, 5], [-50, -50]], np.float32), 0.1, valid)
    assert outlier[1].tolist() == [900, 900]
    assert 0 < outlier[0, 0] < 5
    last = np.array([[6, 6], [6, 6]], np.float32)
    assert np.array_equal(one(last, 0.2), two(last, 0.2))


def test_gap_of_an_untrusted_keypoint_counts_as_time() -> None:
    gapped, plain = OneEuroFilter(1.0, 0.01), OneEuroFilter(1.0, 0.01)
    zero, six = np.zeros((1, 2), np.float32), np.full((1, 2), 6, np.float32)
    gapped(zero, 0.0)
    plain(zero, 0.0)
    gapped(six + 500, 0.1, np.array([False]))
    assert np.array_equal(gapped(six, 0.2), plain(six, 0.2))


def test_keypoints_that_are_not_numbers_do_no_lasting_harm() -> None:
    euro = OneEuroFilter(1.0, 0.01)
    euro(np.zeros((2, 2), np.float32), 0.0)
    euro(np.array([[np.nan, 1], [np.inf, 1]], np.float32), 0.1)
    assert np.isfinite(euro(np.ones((2, 2), np.float32), 0.2)).all()


def test_another_number_of_keypoints_starts_afresh() -> None:
    euro = OneEuroFilter(1.0, 0.01)
    euro(np.zeros((16, 2), np.float32), 0.0)
    points = np.full((17, 2), 9, np.float32)
    assert np.array_equal(euro(points, 0.1), points)


def pose(value: float, person: int | None = 1, low: int = 0) -> Pose:
    scores = np.full(4, 0.9, np.float32)
    scores[:low] = 0.1
    keypoints = np.full((4, 2), value, np.float32) + np.arange(4, dtype=np.float32)[:, None]
    box = np.array([value, value, value + 3, value + 3], np.float32)
    return Pose(keypoints, scores, box, 0.9, person)


ON = SmoothingConfig(enabled=True, min_cutoff_hz=1.0, beta=0.0)


def test_people_do_not_mix() -> None:
    smoother = KeypointSmoother(ON)
    smoother(pose(0.0, 1), 0.0)
    smoother(pose(500.0, 2), 0.0)
    one, two = smoother(pose(10.0, 1), 0.1), smoother(pose(500.0, 2), 0.1)
    assert 0 < one.keypoints[0, 0] < 10
    assert np.array_equal(two.keypoints, pose(500.0).keypoints)
    assert (one.id, two.id) == (1, 2)


def test_box_goes_with_the_trusted_keypoints() -> None:
    smoother = KeypointSmoother(ON)
    smoother(pose(0.0, low=1), 0.0)
    out = smoother(pose(10.0, low=1), 0.1)
    trusted = out.keypoints[1:]
    assert out.keypoints[0, 0] == 10.0
    assert out.bbox_xyxy.tolist() == pytest.approx(
        [*trusted.min(axis=0).tolist(), *trusted.max(axis=0).tolist()]
    )
    assert out.bbox_xyxy.dtype == np.float32


def test_box_stays_where_nothing_is_trusted() -> None:
    raw = pose(10.0, low=4)
    out = KeypointSmoother(ON)(raw, 0.0)
    assert np.array_equal(out.bbox_xyxy, raw.bbox_xyxy)


@pytest.mark.parametrize("later_s", [2.5, -2.5])
def test_people_are_forgotten(later_s: float) -> None:
    smoother = KeypointSmoother(ON)
    smoother(pose(0.0), 10.0)
    smoother(pose(0.0, 2), 10.0)
    again = pose(300.0)
    assert np.array_equal(smoother(again, 10.0 + later_s).keypoints, again.keypoints)
    assert list(smoother._people) == [1]


def test_a_short_absence_is_not_forgotten() -> None:
    smoother = KeypointSmoother(ON)
    smoother(pose(0.0), 10.0)
    assert smoother(pose(300.0), 11.5).keypoints[0, 0] < 300.0


def test_without_id_or_switched_off_poses_pass() -> None:
    smoother, off = KeypointSmoother(ON), KeypointSmoother(SmoothingConfig())
    for value in (0.0, 100.0):
        raw, named = pose(value, None), pose(value)
        assert smoother(raw, value) is raw
        assert off(named, value) is named
