"""Region → affine → crop → tensor: geometry to sub-pixel accuracy, both ways."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.preprocess import (
    InputSpec,
    Region,
    apply_affine,
    bbox_region,
    crop,
    fit_region,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.types import FloatArray, Image

SIZES = st.sampled_from([(192, 192), (256, 256), (192, 256), (64, 48)])
PLACES = st.tuples(st.floats(-500, 3000), st.floats(-500, 3000))
SIDES = st.floats(4, 4000)
TURNS = st.floats(-180, 180)


def region_of(
    center: tuple[float, float], side: float, rotation: float, size: tuple[int, int]
) -> Region:
    fitted = fit_region(center, (side, side), size)
    return Region(fitted.center, fitted.size, rotation)


@given(size=SIZES, center=PLACES, width=SIDES, height=SIDES)
def test_fit_only_grows_and_reaches_the_aspect_ratio(
    size: tuple[int, int], center: tuple[float, float], width: float, height: float
) -> None:
    region = fit_region(center, (width, height), size)
    assert region.center == center
    assert region.size[0] >= width * (1 - 1e-9)
    assert region.size[1] >= height * (1 - 1e-9)
    assert region.size[0] / region.size[1] == pytest.approx(size[0] / size[1])
    # On one axis nothing is wasted.
    grown = region.size[0] / width, region.size[1] / height
    assert min(grown) == pytest.approx(1)


@given(size=SIZES, center=PLACES, side=SIDES, rotation=TURNS, mirror=st.booleans())
def test_source_px_survive_the_way_there_and_back(
    size: tuple[int, int], center: tuple[float, float], side: float, rotation: float, mirror: bool
) -> None:
    region = region_of(center, side, rotation, size)
    matrix = region_affine(region, size, mirror=mirror)
    offsets = np.array([[-0.5, -0.5], [0.5, -0.5], [0.1, 0.3], [0, 0]]) * region.size
    points = (offsets + center).astype(np.float32)
    back = apply_affine(apply_affine(points, matrix), invert_affine(matrix))
    assert back == pytest.approx(points, abs=1e-3 * max(side / 64, 1))


@given(size=SIZES, center=PLACES, side=SIDES, rotation=TURNS, mirror=st.booleans())
def test_the_middle_and_the_corners_land_where_they_should(
    size: tuple[int, int], center: tuple[float, float], side: float, rotation: float, mirror: bool
) -> None:
    region = region_of(center, side, rotation, size)
    matrix = region_affine(region, size, mirror=mirror)
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    assert apply_affine(np.array(center, np.float32), matrix) == pytest.approx(middle, abs=0.02)
    # The region's outer edges are the outer edges of the border pixels.
    angle = np.radians(rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corner = np.array([-0.5, -0.5]) * region.size
    seen = apply_affine((turn @ corner + center).astype(np.float32), matrix)
    expected = [size[0] - 0.5 if mirror else -0.5, -0.5]
    assert seen == pytest.approx(np.array(expected), abs=0.02)


def test_positive_rotation_turns_the_content_counter_clockwise_on_screen() -> None:
    matrix = region_affine(Region((50, 50), (100, 100), 90), (101, 101))
    # What lay to the right of the centre now lies above it: y points down.
    assert apply_affine(np.array([80, 50], np.float32), matrix) == pytest.approx(
        [50, 19.7], abs=0.1
    )


def test_mirroring_swaps_left_and_right_of_the_crop() -> None:
    image = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    region = Region((40, 41), (50, 50), 20)
    plain = crop(image, region_affine(region, (64, 64)), (64, 64))
    mirrored = crop(image, region_affine(region, (64, 64), mirror=True), (64, 64))
    difference = np.abs(mirrored[:, ::-1].astype(int) - plain)
    assert difference.max() <= 6  # warpAffine rounds coordinates to 1/32 px


def test_a_region_of_the_inputs_size_is_copied() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    region = Region((23.5, 31.5), (48, 64))
    assert (crop(image, region_affine(region, (48, 64)), (48, 64)) == image).all()


def smooth_picture(width: int, height: int, spot: tuple[float, float], sigma: float) -> Image:
    ys, xs = np.mgrid[:height, :width]
    heat = np.exp(-((xs - spot[0]) ** 2 + (ys - spot[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(220 * heat)[..., None], 3, axis=2).astype(np.uint8)


def centroid(image: Image) -> FloatArray:
    heat = image[..., 0].astype(np.float64)
    heat[heat < 20] = 0  # rounding to whole numbers cuts the tails off
    ys, xs = np.mgrid[: heat.shape[0], : heat.shape[1]]
    return np.array([(heat * xs).sum(), (heat * ys).sum()]) / heat.sum()


@pytest.mark.parametrize("zoom", [0.9, 0.5, 0.49, 0.26, 0.25, 0.2, 0.13, 0.11])
@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_every_zoom_keeps_the_geometry_to_sub_pixel(zoom: float, rotation: float) -> None:
    spot = (333.3, 251.7)
    image = smooth_picture(701, 555, spot, 4 / zoom)
    region = Region((340, 250), (64 / zoom, 64 / zoom), rotation)
    matrix = region_affine(region, (64, 64))
    cut = crop(image, matrix, (64, 64))
    expected = apply_affine(np.array(spot, np.float32), matrix)
    assert centroid(cut) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("zoom", [0.45, 0.25, 0.17, 0.1])
@pytest.mark.parametrize("center", [(340.0, 250.0), (20.3, 540.2), (-40.0, 250.0)])
def test_reducing_by_area_equals_plain_sampling_of_a_smooth_picture(
    zoom: float, center: tuple[float, float]
) -> None:
    image = smooth_picture(701, 555, (300, 300), 100)
    region = Region(center, (64 / zoom, 64 / zoom), 10)
    matrix = region_affine(region, (64, 64))
    plain = cv2.warpAffine(image, matrix, (64, 64), flags=cv2.INTER_LINEAR)
    difference = np.abs(crop(image, matrix, (64, 64)).astype(int) - plain)
    # Away from the picture's border, where the two blend with black in different ways.
    corners = apply_affine(
        np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1).astype(np.float32),
        invert_affine(matrix),
    )
    margin = 2 / zoom
    inside = (corners > margin).all(axis=-1) & (corners < np.array([700, 554]) - margin).all(
        axis=-1
    )
    assert inside.any()
    assert difference[inside].max() <= 3


def test_reducing_by_area_sees_every_source_pixel() -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    image[::8] = 255  # every eighth line: plain sampling sees all of them or none
    cut = crop(image, region_affine(Region((255.5, 255.5), (512, 512)), (64, 64)), (64, 64))
    assert cut[2:-2, 2:-2].mean() == pytest.approx(255 / 8, rel=0.1)


@pytest.mark.parametrize("side", [60, 129, 300, 513, 1100, 1500])
@pytest.mark.parametrize("rotation", [0, 10])
def test_no_black_seeps_into_a_crop_from_the_middle_of_a_picture(
    side: float, rotation: float
) -> None:
    image = np.full((2000, 2000, 3), 255, np.uint8)
    region = Region((1000.3, 1000.7), (side, side), rotation)
    assert crop(image, region_affine(region, (64, 64)), (64, 64)).min() == 255


@pytest.mark.parametrize(("side", "center"), [(50, (-500, 0)), (5000, (-9000, 0)), (600, (0, 5e4))])
def test_a_region_outside_of_the_picture_is_black(side: float, center: tuple[float, float]) -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    cut = crop(image, region_affine(Region(center, (side, side)), (64, 64)), (64, 64))
    assert cut.shape == (64, 64, 3)
    assert not cut.any()


@given(
    place=st.tuples(st.floats(-300, 800), st.floats(-300, 800)),
    side=st.floats(1, 8000),
    rotation=TURNS,
    shape=st.tuples(st.integers(2, 300), st.integers(2, 300)),
)
def test_any_region_of_any_picture_gives_a_crop(
    place: tuple[float, float], side: float, rotation: float, shape: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    cut = crop(image, region_affine(Region(place, (side, side), rotation), (32, 32)), (32, 32))
    assert (cut.shape, cut.dtype) == ((32, 32, 3), np.uint8)
    assert cut.max() <= 201


@given(
    place=st.tuples(st.floats(-40, 140), st.floats(-40, 110)),
    side=st.floats(5, 127),
    rotation=TURNS,
    mirror=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_crop_of_a_small_region_is_the_plain_bilinear_one(
    place: tuple[float, float], side: float, rotation: float, mirror: bool, seed: int
) -> None:
    # Another picture each time: what memory holds from before must not show.
    image = np.random.default_rng(seed).integers(0, 256, (70, 100, 3), np.uint8)
    matrix = region_affine(Region(place, (side, side), rotation), (64, 64), mirror=mirror)
    plain = cv2.warpAffine(image, matrix, (64, 64), flags=cv2.INTER_LINEAR)
    # OpenCV's builds may round three and four channels in two ways.
    assert np.abs(crop(image, matrix, (64, 64)).astype(int) - plain).max() <= 1


def test_boxes_become_regions() -> None:
    region = bbox_region(np.array([10, 20, 50, 100], np.float32), (192, 256), 1.5)
    assert region.center == (30, 60)
    assert region.size == pytest.approx((120, 160))
    assert region.bbox_xyxy == pytest.approx([-30, -20, 90, 140])
    assert bbox_region(np.zeros(4, np.float32), (64, 64), 1.4).size == pytest.approx((1.4, 1.4))


def test_tensors_follow_the_manifest() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 5.0)
    rgb = to_tensor(crops, InputSpec((5, 4), "rgb", "nchw", "float32", mean, std))
    assert (rgb.shape, rgb.dtype) == ((2, 3, 4, 5), np.float32)
    assert rgb.flags.c_contiguous
    assert rgb[1, 0, 2, 3] == pytest.approx((float(crops[1, 2, 3, 2]) - 10) / 2)
    bgr = to_tensor(crops, InputSpec((5, 4), "bgr", "nhwc", "float32", mean, std))
    assert bgr.shape == (2, 4, 5, 3)
    assert bgr[1, 2, 3, 2] == pytest.approx((float(crops[1, 2, 3, 2]) - 30) / 5, rel=1e-6)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_bytes_stay_bytes(color: str, layout: str) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    tensor = to_tensor(crops, InputSpec((5, 4), color, layout, "uint8"))
    assert tensor.dtype == np.uint8
    assert tensor.flags.c_contiguous
    expected = crops[..., ::-1] if color == "rgb" else crops
    assert (tensor == (expected.transpose(0, 3, 1, 2) if layout == "nchw" else expected)).all()
