"""Boxes against maps that were drawn from known boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_pose.decoding.centers import decode_centers
from edge_pose.errors import ArtifactError
from edge_pose.types import FloatArray

STRIDE, WIDTH, HEIGHT = 4, 24, 20


def draw(boxes: list[list[float]], scores: list[float]) -> FloatArray:
    """Return maps (5, h, w) of boxes x1, y1, x2, y2 in input px."""
    maps = np.zeros((5, HEIGHT, WIDTH), np.float32)
    maps[0] = -8
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    for (x1, y1, x2, y2), score in zip(boxes, scores, strict=True):
        x, y = ((x1 + x2) / 2 + 0.5) / STRIDE - 0.5, ((y1 + y2) / 2 + 0.5) / STRIDE - 0.5
        logit = np.log(score / (1 - score))
        distance = np.maximum(abs(xs - round(x)), abs(ys - round(y)))
        maps[0] = np.maximum(maps[0], logit - 2 * distance)
        near = distance <= 1
        maps[1:, near] = np.stack(
            [x - xs, y - ys, np.full(xs.shape, (x2 - x1) / 4), np.full(xs.shape, (y2 - y1) / 4)]
        )[:, near]
    return maps


def test_boxes_are_found_where_they_are_best_first() -> None:
    boxes = [[5.0, 8.0, 20.5, 40.0], [30.0, 3.0, 61.0, 70.25], [66.0, 33.0, 90.0, 55.0]]
    found, scores = decode_centers(draw(boxes, [0.6, 0.9, 0.4]), STRIDE)
    assert (found.dtype, scores.dtype) == (np.float32, np.float32)
    assert found == pytest.approx(np.array([boxes[1], boxes[0], boxes[2]]), abs=1e-3)
    assert scores == pytest.approx([0.9, 0.6, 0.4], abs=1e-5)


def test_the_threshold_and_the_number_of_boxes() -> None:
    boxes = [[5.0, 8.0, 20.5, 40.0], [30.0, 3.0, 61.0, 70.25], [66.0, 33.0, 90.0, 55.0]]
    maps = draw(boxes, [0.6, 0.9, 0.4])
    assert len(decode_centers(maps, STRIDE, threshold=0.5)[0]) == 2
    best, _ = decode_centers(maps, STRIDE, max_boxes=1)
    assert best == pytest.approx(np.array([boxes[1]]), abs=1e-3)


def test_of_neighbours_only_the_peak_counts() -> None:
    maps = draw([[20.0, 20.0, 40.0, 60.0]], [0.9])
    maps[0, 9, 7] = maps[0].max()  # an equal neighbour of the peak at row 10, column 7
    found, _ = decode_centers(maps, STRIDE)
    assert found == pytest.approx(np.array([[20, 20, 40, 60]]), abs=1e-3)
    maps[0, 9, 7], maps[:, 10, 9] = -8, maps[:, 10, 7]  # two px away: another one
    assert len(decode_centers(maps, STRIDE)[0]) == 2


def test_boxes_end_where_the_input_ends() -> None:
    found, _ = decode_centers(draw([[-40.0, 10.0, 60.0, 120.0]], [0.8]), STRIDE)
    y2 = HEIGHT * STRIDE - 0.5
    assert found == pytest.approx(np.array([[-0.5, 10.0, 60.0, y2]]), abs=1e-3)


def test_the_pixel_convention() -> None:
    maps = np.full((5, HEIGHT, WIDTH), -9, np.float32)
    maps[:, 2, 3] = (3, 0, 0, 2, 1)
    found, _ = decode_centers(maps, STRIDE)
    # Column 3 covers the input px 12 to 15: its centre lies between 13 and 14.
    assert found.tolist() == [[9.5, 7.5, 17.5, 11.5]]


@pytest.mark.parametrize("value", [-20.0, np.nan, np.inf, -np.inf])
def test_nobody(value: float) -> None:
    boxes, scores = decode_centers(np.full((5, 8, 8), value, np.float32), STRIDE)
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.parametrize("channel", range(5))
def test_broken_values_are_left_out(channel: int) -> None:
    maps = draw([[5.0, 8.0, 20.0, 40.0], [60.0, 20.0, 80.0, 60.0]], [0.6, 0.9])
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    maps[channel, row, column] = np.nan
    found, _ = decode_centers(maps, STRIDE)
    assert np.isfinite(found).all()
    assert np.abs(found - (5, 8, 20, 40)).max(axis=1).min() < 1e-3


def test_sizes_below_zero_are_no_boxes() -> None:
    maps = draw([[5.0, 8.0, 20.0, 40.0]], [0.6])
    maps[3] = -3
    assert len(decode_centers(maps, STRIDE)[0]) == 0


def test_large_logits_do_not_warn() -> None:
    maps = draw([[5.0, 8.0, 20.0, 40.0]], [0.6]) * 1e4
    assert decode_centers(maps, STRIDE)[1].tolist() == [1.0]


@pytest.mark.parametrize("shape", [(4, 8, 8), (1, 5, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArtifactError, match=r"centre maps: found shape .* expected \(5, h, w\)"):
        decode_centers(np.zeros(shape, np.float32), STRIDE)
