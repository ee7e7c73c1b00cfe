"""Where to look for people, and which finds are one person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.search import oks, search_regions, without_duplicates
from edge_pose.skeleton import COCO17, MPII16
from edge_pose.types import Pose

LENGTHS = st.integers(2, 5000)


def person(center: tuple[float, float], size: float, score: float = 0.9) -> Pose:
    offsets = np.random.default_rng(3).uniform(-0.5, 0.5, (16, 2))
    keypoints = (offsets * size + center).astype(np.float32)
    box = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
    return Pose(keypoints, np.full(16, score, np.float32), box, score)


@given(width=LENGTHS, height=LENGTHS)
def test_every_px_is_in_some_region_and_the_number_is_bounded(width: int, height: int) -> None:
    regions = search_regions(width, height, (192, 256))
    assert 1 <= len(regions) <= 64
    for x in np.linspace(0, width - 1, 7):
        for y in np.linspace(0, height - 1, 7):
            # The coarse region alone would do; the fine ones must as well.
            for group in (regions[:1], regions[1:]):
                boxes = [region.bbox_xyxy for region in group]
                assert any(b[0] - 1 <= x <= b[2] + 1 and b[1] - 1 <= y <= b[3] + 1 for b in boxes)


@given(width=LENGTHS, height=LENGTHS)
def test_regions_have_the_networks_aspect_ratio(width: int, height: int) -> None:
    for region in search_regions(width, height, (192, 256)):
        assert region.size[0] / region.size[1] == pytest.approx(192 / 256)
        assert min(region.size) > 0


def test_the_first_region_is_the_whole_picture() -> None:
    first = search_regions(854, 480, (64, 64))[0]
    assert first.center == (426.5, 239.5)
    assert first.size == (854, 854)
    sides = {round(region.size[0]) for region in search_regions(854, 480, (64, 64))}
    assert sides == {854, 480, 288}


def test_neighbours_overlap_so_that_nobody_is_cut_by_every_region() -> None:
    fine = [r for r in search_regions(854, 480, (64, 64)) if round(r.size[0]) == 288]
    columns = sorted({region.center[0] for region in fine})
    assert columns[0] == pytest.approx(144)
    assert columns[-1] == pytest.approx(854 - 144)
    assert max(np.diff(columns)) <= 144 + 1e-6


def test_oks_of_a_pose_with_itself_and_of_strangers() -> None:
    a = person((100, 100), 80)
    assert oks(a, a, MPII16) == pytest.approx(1)
    assert oks(a, person((400, 100), 80), MPII16) < 0.01
    near = person((104, 100), 80)
    assert 0.5 < oks(a, near, MPII16) < 1
    assert oks(a, near, MPII16) == pytest.approx(oks(near, a, MPII16))


def test_oks_by_hand() -> None:
    # One keypoint 10 px off, all others exact, in a box of 100x50 px: the formula of the COCO
    # evaluation gives exp(-d² / (2 (2σ)² area)) for it and 1 for the others.
    keypoints = np.linspace(0, 1, 17)[:, None] * np.array([100.0, 50.0])
    a = Pose(
        keypoints.astype(np.float32),
        np.ones(17, np.float32),
        np.array([0, 0, 100, 50], np.float32),
        1.0,
    )
    moved = a.keypoints.copy()
    moved[9, 0] += 10
    expected = (16 + np.exp(-100 / (2 * (2 * 0.062) ** 2 * 5000))) / 17
    assert oks(a, replace(a, keypoints=moved), COCO17) == pytest.approx(expected)


def test_the_best_of_each_person_is_kept() -> None:
    one, one_again = person((100, 100), 80, 0.7), person((102, 101), 80, 0.9)
    other = person((300, 100), 80, 0.8)
    assert without_duplicates([one, other, one_again], MPII16) == [one_again, other]
    assert without_duplicates([], MPII16) == []
