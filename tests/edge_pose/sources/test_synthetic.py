from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_pose.errors import SourceError
from edge_pose.skeleton import MPII16
from edge_pose.sources.synthetic import SyntheticSource


def test_frames_are_deterministic() -> None:
    one = [f.image for f in SyntheticSource(160, 120, 25, 5).frames()]
    two = [f.image for f in SyntheticSource(160, 120, 25, 5).frames()]
    assert len(one) == 5
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], one[1])


def test_seed_changes_the_background_only() -> None:
    a, b = SyntheticSource(160, 120, seed=1), SyntheticSource(160, 120, seed=2)
    assert np.array_equal(a.keypoints_at(7), b.keypoints_at(7))
    assert not np.array_equal(next(a.frames()).image, next(b.frames()).image)


def test_metadata() -> None:
    source = SyntheticSource(160, 120, 25, 5)
    assert (source.live, source.frame_rate, source.frame_count) == (False, 25, 5)
    frames = list(source.frames())
    assert [frame.media_s for frame in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16])
    assert frames[0].image.shape == (120, 160, 3)
    assert frames[0].captured_at.tzinfo is not None
    assert all(frame.capture_s > 0 for frame in frames)


def test_endless_by_default() -> None:
    source = SyntheticSource(64, 64)
    assert source.frame_count is None
    frames = source.frames()
    assert [f.index for f in itertools.islice(frames, 40)] == list(range(40))
    source.close()
    assert list(frames) == []


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(32, 1200),
    height=st.integers(32, 1200),
    index=st.integers(0, 10_000_000),
    fps=st.sampled_from([1.0, 29.97, 120.0]),
)
def test_keypoints_are_inside(width: int, height: int, index: int, fps: float) -> None:
    points = SyntheticSource(width, height, fps).keypoints_at(index)
    assert points.shape == (16, 2)
    assert points.dtype == np.float32
    assert (points >= 0).all()
    assert (points <= [width - 1, height - 1]).all()


def test_figure_is_a_person_who_faces_the_camera() -> None:
    points = SyntheticSource().keypoints_at(12)
    x, y = (
        {name: points[MPII16.index(name)][axis] for name in MPII16.keypoints} for axis in (0, 1)
    )
    assert y["head_top"] < y["upper_neck"] < y["thorax"] < y["pelvis"] < y["left_knee"]
    assert y["left_knee"] < y["left_ankle"]
    assert x["right_shoulder"] < x["left_shoulder"]
    assert x["right_hip"] < x["left_hip"]


def test_figure_moves_smoothly() -> None:
    source = SyntheticSource()
    path = np.stack([source.keypoints_at(i) for i in range(240)])
    steps = np.linalg.norm(np.diff(path, axis=0), axis=2)
    assert steps.max() < 20  # px per frame at 30 frames per second
    assert steps.mean(axis=0).min() > 0.5


def test_drawing_agrees_with_the_keypoints() -> None:
    source = SyntheticSource(640, 480, 30, 50)
    for frame in source.frames():
        white = frame.image.min(axis=2) > 225
        for x, y in source.keypoints_at(frame.index):
            left, top = round(float(x)) - 12, round(float(y)) - 12
            rows, columns = np.nonzero(white[top : top + 25, left : left + 25])
            near = np.hypot(columns + left - x, rows + top - y) < 6.5
            assert near.sum() > 40
            assert abs(columns[near].mean() + left - x) < 1.0
            assert abs(rows[near].mean() + top - y) < 1.0


def test_realtime_skips_what_comes_too_late() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    source = SyntheticSource(64, 64, 10, 10, realtime=True, clock=lambda: now[0], sleep=sleep)
    assert source.live
    indices = []
    for frame in source.frames():
        indices.append(frame.index)
        now[0] += 0.26
    assert indices == [0, 2, 5, 7]


@pytest.mark.timeout(20)  # and not 100 s, the time until the second frame
def test_close_interrupts_the_wait_for_a_frame() -> None:
    source = SyntheticSource(64, 64, 0.01, realtime=True)
    frames = source.frames()
    next(frames)
    closer = threading.Timer(0.1, source.close)
    closer.start()
    assert list(frames) == []
    closer.join()
    source.close()


@pytest.mark.parametrize(
    ("size", "fps", "count"),
    [((16, 480), 30, None), ((640, 9000), 30, None), ((64, 64), 0, None), ((64, 64), 30, 0)],
)
def test_numbers_out_of_range(size: tuple[int, int], fps: float, count: int | None) -> None:
    with pytest.raises(SourceError, match="synthetic: "):
        SyntheticSource(*size, fps, count)
