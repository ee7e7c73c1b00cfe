"""Views and mosaics: the boxes stay on the people, and a key always gives the same input."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from edge_pose.preprocess import region_affine
from training.datasets.boxes import Picture, as_boxes
from training.detection.samples import PictureSamples
from training.detection.targets import HEAT, HEAT_WEIGHT
from training.detection.views import DetectorOptions, ViewOptions, draw_region, visible_boxes
from training.samples import Key
from training.transforms import AugmentConfig

BOX = [60, 40, 99, 119]  # the px that are white
PLAIN = AugmentConfig(p_flip=0.5, color_gain=0, p_gray=0, p_blur=0, p_cutout=0)


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """A white person in the dark."""
    image = np.full((160, 240, 3), 40, np.uint8)
    image[40:120, 60:100] = 255
    cv2.imwrite(str(tmp_path / "white.png"), image)
    boxes = as_boxes([BOX]) + np.array([-0.5, -0.5, 0.5, 0.5], np.float32)
    return Picture("mpii", (0,), tmp_path / "white.png", None, boxes, as_boxes([]), False)


def samples(picture: Picture, *mosaic: float, **view: float) -> PictureSamples:
    options = DetectorOptions(mosaic=mosaic, view=ViewOptions.model_validate(view))
    return PictureSamples([picture], options, PLAIN, stride=4)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_hug_the_people(picture: Picture, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, boxes, _ = samples(picture, 1.0, p_whole=0.3).compose(0, 128, rng)
    assert image.shape == (128, 128, 3)
    assert len(boxes) == 1
    rows, columns = np.nonzero(image[:, :, 0] > 150)
    seen = [columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5]
    assert boxes[0] == pytest.approx(seen, abs=1.01)


def test_people_come_near_and_far(picture: Picture) -> None:
    source = samples(picture, 1.0, p_whole=0.0)
    found = [source.compose(0, 128, np.random.default_rng(i))[1] for i in range(60)]
    heights = [boxes[0, 3] - boxes[0, 1] for boxes in found if len(boxes)]
    assert len(heights) > 55
    assert min(heights) < 40
    assert max(heights) > 110


@pytest.mark.parametrize("grid", [2, 3])
def test_mosaics_hold_several_pictures(picture: Picture, grid: int) -> None:
    weights = [0.0] * (grid - 1) + [1.0]
    source = samples(picture, *weights, p_whole=1.0, border=1.0)
    image, boxes, _ = source.compose(0, 128, np.random.default_rng(1))
    assert len(boxes) == grid * grid
    cells = {tuple(cell) for cell in (boxes[:, :2] // (128 / grid)).astype(int).tolist()}
    assert len(cells) == grid * grid
    for x1, y1, x2, y2 in np.round(boxes).astype(int):
        assert image[y1 + 2 : y2 - 1, x1 + 2 : x2 - 1].min() > 200


def test_a_key_is_a_sample(picture: Picture) -> None:
    source = PictureSamples([picture] * 3, DetectorOptions(), AugmentConfig(), stride=4)
    one, same, other = (source[Key(1, 2, position, 0, 96)] for position in (5, 5, 6))
    assert one.target.shape == (7, 24, 24)
    assert (one.image == same.image).all()
    assert (one.target == same.target).all()
    assert (one.image != other.image).any()
    assert (one.target[HEAT] == 1).any()


def test_cut_people_become_smaller_ignored_or_nothing() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
    boxes = as_boxes([[-50, 10, 49, 60], [-80, 70, 19, 90], [-95, 70, 4, 90], [30, 30, 34, 34]])
    seen, unsure = visible_boxes(boxes, as_boxes([[20, 20, 40, 30]]), matrix, (100, 100))
    assert seen.tolist() == [[-0.5, 10, 49, 60]]
    middles = [[4.375, 75, 14.125, 85], [31, 31, 33, 33], [25, 22.5, 35, 27.5]]
    assert unsure == pytest.approx(np.array(middles), abs=1e-5)
    nobody, nothing = visible_boxes(as_boxes([]), as_boxes([]), matrix, (100, 100))
    assert nobody.shape == nothing.shape == (0, 4)


def test_ignored_regions_reach_the_target(picture: Picture) -> None:
    unsure = Picture("mpii", (0,), picture.image, None, as_boxes([]), picture.boxes, False)
    sample = samples(unsure, 1.0)[Key(1, 1, 1, 0, 96)]
    assert not sample.target[HEAT].any()
    assert 0 < (sample.target[HEAT_WEIGHT] == 0).sum() < 24 * 24 / 2


@pytest.mark.parametrize("size", [(64, 64), (107, 106)])
def test_a_view_has_the_aspect_of_its_input(size: tuple[int, int]) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        region = draw_region(as_boxes([BOX]), (240, 160), size, ViewOptions(), rng)
        matrix = region_affine(region, size)
        assert matrix[0, 0] == pytest.approx(matrix[1, 1])
        assert max(region.size) <= 240 * 1.25 * 107 / 106 + 1e-6


@pytest.mark.parametrize("mosaic", [(), (0.0, 0.0), (1.0, -1.0)])
def test_a_mosaic_needs_a_weight(mosaic: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="mosaic"):
        DetectorOptions(mosaic=mosaic)
