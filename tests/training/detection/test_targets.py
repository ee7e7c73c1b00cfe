"""Targets of the centre-point detector, by hand and back through the device's decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.decoding.centers import decode_centers
from training.datasets.boxes import as_boxes, box_iou
from training.detection.targets import (
    BOX_WEIGHT,
    HEAT,
    HEAT_WEIGHT,
    OFFSET,
    SIZE,
    draw_targets,
    gaussian_radius,
)

NOTHING = as_boxes([])
SIDES = st.floats(1, 200)


@given(SIDES, SIDES, st.floats(0.3, 0.9))
def test_corners_may_move_by_the_radius(width: float, height: float, overlap: float) -> None:
    r = gaussian_radius(width, height, overlap)
    assert 0 < r < min(width, height)
    box = np.array([[0, 0, width, height]])
    corners = [[r, r, r, r], [-r, -r, r, r], [r, r, -r, -r]]
    ious = box_iou(box, box + np.array(corners))[0]
    assert ious.min() == pytest.approx(overlap, abs=1e-6)  # the tightest case is tight


def test_one_box_by_hand() -> None:
    # Input px 7.5 … 23.5 and 3.5 … 35.5 at stride 4: map px 1.5 … 5.5 and 0.5 … 8.5.
    target = draw_targets(as_boxes([[7.5, 3.5, 23.5, 35.5]]), NOTHING, (12, 10), 4)
    assert target.shape == (7, 10, 12)
    assert target.dtype == np.float32
    assert list(zip(*np.nonzero(target[HEAT] == 1), strict=True)) == [(5, 4)]
    assert target[OFFSET, 5, 4] == pytest.approx([-0.5, -0.5])
    assert target[SIZE, 5, 4] == pytest.approx([4, 8])
    assert target[BOX_WEIGHT].sum() == pytest.approx(1)
    assert (target[HEAT_WEIGHT] == 1).all()
    sigma = (2 * gaussian_radius(4, 8) + 1) / 6
    assert target[HEAT, 5, 5] == pytest.approx(np.exp(-1 / (2 * sigma**2)))
    assert target[HEAT, 4, 3] == pytest.approx(np.exp(-1 / sigma**2))


def test_cells_beside_the_centre_know_the_way() -> None:
    target = draw_targets(as_boxes([[20, 20, 219, 259]]), NOTHING, (64, 72), 4)
    rows, columns = np.nonzero(target[BOX_WEIGHT])
    assert len(rows) > 4
    assert target[BOX_WEIGHT].sum() == pytest.approx(1)
    offset = target[OFFSET][:, rows, columns]
    assert columns + offset[0] == pytest.approx((119.5 + 0.5) / 4 - 0.5)
    assert rows + offset[1] == pytest.approx((139.5 + 0.5) / 4 - 0.5)


def test_the_smaller_of_two_boxes_keeps_its_cell() -> None:
    boxes = as_boxes([[40, 40, 71, 71], [0, 0, 127, 127]])
    for order in ([0, 1], [1, 0]):
        target = draw_targets(boxes[order], NOTHING, (32, 32), 4)
        assert target[SIZE, 14, 14] == pytest.approx([7.75, 7.75])


def test_ignored_regions_teach_no_background() -> None:
    target = draw_targets(NOTHING, as_boxes([[8, 4, 15, 11], [0, 0, 0.5, 0.5]]), (8, 8), 4)
    expected = np.ones((8, 8))
    expected[1:3, 2:4] = 0
    assert (target[HEAT_WEIGHT] == expected).all()
    assert not target[[HEAT, BOX_WEIGHT]].any()


def test_a_centre_outside_or_a_flat_box_is_left_out() -> None:
    boxes = as_boxes([[-30, 5, 10, 20], [5, 5, 5, 20]])
    assert not draw_targets(boxes, NOTHING, (8, 8), 4)[[HEAT, BOX_WEIGHT]].any()


@given(st.floats(0, 100), st.floats(0, 100), st.floats(4, 60), st.floats(4, 60))
def test_the_decoder_reads_them(x: float, y: float, width: float, height: float) -> None:
    box = as_boxes([[x, y, min(x + width, 127), min(y + height, 127)]])
    target = draw_targets(box, NOTHING, (32, 32), 4)
    logits = np.log(target[HEAT].clip(1e-6) / (1 - target[HEAT]).clip(1e-6))
    maps = np.concatenate([logits[None], target[OFFSET], target[SIZE]])
    found, scores = decode_centers(maps, 4, threshold=0.99)
    assert scores == pytest.approx([1], abs=1e-5)
    assert found == pytest.approx(box, abs=1e-3)
