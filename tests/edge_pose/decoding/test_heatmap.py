"""Decoding against Gaussians that were rendered at known sub-pixel positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.decoding.heatmap import KINDS, decode_heatmaps, split_keypoints
from edge_pose.errors import ArtifactError
from edge_pose.types import FloatArray

WIDTH, HEIGHT = 20, 16
STRIDE = 4


def gaussian(x: float, y: float, sigma: float = 1.5, height: float = 1.0) -> FloatArray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    squared = (xs - x) ** 2 + (ys - y) ** 2
    return np.asarray(height * np.exp(-squared / (2 * sigma**2)), np.float32)


def heatmap(kind: str, x: float, y: float, sigma: float = 1.5) -> FloatArray:
    heat = gaussian(x, y, sigma)
    return heat if kind == "gaussian" else np.log(heat + 1e-12, dtype=np.float32)


def decoded(heat: FloatArray, kind: str, stride: float = 1) -> tuple[FloatArray, float]:
    keypoints, scores = decode_heatmaps(heat[None, None], stride, kind)
    return keypoints[0, 0], float(scores[0, 0])


# Within the map; at the border half a heatmap px is all that can be known of what lies outside.
INNER_X, INNER_Y = st.floats(3.5, WIDTH - 4.5), st.floats(3.5, HEIGHT - 4.5)


@pytest.mark.parametrize("kind", KINDS)
@given(x=INNER_X, y=INNER_Y, sigma=st.sampled_from([1.0, 1.25, 1.5]))
def test_sub_pixel_positions_within_the_map(kind: str, x: float, y: float, sigma: float) -> None:
    found, score = decoded(heatmap(kind, x, y, sigma), kind)
    # A window of seven px cuts the tails of the widest, hence not exactly.
    assert found == pytest.approx((x, y), abs=0.07)
    assert np.hypot(*(found - (x, y))) < np.hypot(x - round(x), y - round(y)) + 1e-3
    assert score > 0.75  # a peak between four px


@pytest.mark.parametrize("kind", KINDS)
@given(
    x=st.one_of(st.floats(0, 3.5), st.floats(WIDTH - 4.5, WIDTH - 1)),
    y=st.one_of(st.floats(0, 3.5), st.floats(HEIGHT - 4.5, HEIGHT - 1)),
)
def test_positions_at_the_border_are_not_pulled_inwards(kind: str, x: float, y: float) -> None:
    found, _ = decoded(heatmap(kind, x, y), kind)
    # Never worse than the px of the peak itself.
    assert np.abs(found - (x, y)).max() <= 0.5 + 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [0, 1, WIDTH - 2, WIDTH - 1])
@pytest.mark.parametrize("y", [0, 2, HEIGHT - 1])
def test_a_peak_on_a_border_px_stays_there(kind: str, x: int, y: int) -> None:
    found, _ = decoded(heatmap(kind, x, y), kind)
    assert found == pytest.approx((x, y), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_stride_maps_cell_centres_to_input_px(kind: str) -> None:
    found, _ = decoded(heatmap(kind, 7, 5), kind, STRIDE)
    # Cell 7 covers the input px 28 to 31: its centre lies between 29 and 30.
    assert found == pytest.approx((29.5, 21.5), abs=1e-3)


def test_a_batch_is_decoded_map_by_map() -> None:
    places = np.random.default_rng(0).uniform(4, 11, (3, 5, 2))
    maps = np.array([[gaussian(*place) for place in person] for person in places])
    keypoints, scores = decode_heatmaps(maps, STRIDE, "gaussian")
    assert (keypoints.shape, keypoints.dtype) == ((3, 5, 2), np.float32)
    assert (scores.shape, scores.dtype) == ((3, 5), np.float32)
    assert keypoints == pytest.approx((places + 0.5) * STRIDE - 0.5, abs=0.07 * STRIDE)


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.floats(0, 30))
def test_any_map_gives_scores_in_range_and_positions_in_the_picture(
    seed: int, kind: str, spread: float
) -> None:
    noise = np.random.default_rng(seed).normal(0, spread, (1, 4, HEIGHT, WIDTH))
    keypoints, scores = decode_heatmaps(noise.astype(np.float32), STRIDE, kind)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (keypoints >= -0.5).all()
    assert (keypoints <= np.array([WIDTH, HEIGHT]) * STRIDE - 0.5).all()


def test_the_score_of_logits_is_the_mass_around_the_peak() -> None:
    one, score_one = decoded(heatmap("logits", 5, 8), "logits")
    two = np.logaddexp(heatmap("logits", 5, 8), heatmap("logits", 15, 8))
    _, score_two = decoded(np.asarray(two, np.float32), "logits")
    assert one == pytest.approx((5, 8), abs=1e-3)
    assert score_one == pytest.approx(0.96, abs=0.03)
    assert score_two == pytest.approx(score_one / 2, abs=0.02)
    _, nothing = decoded(np.zeros((HEIGHT, WIDTH), np.float32), "logits")
    assert nothing < 49 / (WIDTH * HEIGHT) + 1e-6
    # Whatever is added to all logits changes nothing, be it as large as float32 allows.
    shifted, score = decoded(heatmap("logits", 5, 8) + np.float32(1e4), "logits")
    assert shifted == pytest.approx(one, abs=0.01)
    assert score == pytest.approx(score_one, abs=0.01)


def test_the_score_of_a_gaussian_is_its_height() -> None:
    for height in (0.0, 0.3, 0.95):
        _, score = decoded(gaussian(7, 7, height=height), "gaussian")
        assert score == pytest.approx(height, abs=1e-6)
    assert decoded(gaussian(7, 7, height=1.4), "gaussian")[1] == 1.0
    found, score = decoded(-gaussian(7, 7), "gaussian")  # nothing but negative values
    assert score == 0.0
    assert np.isfinite(found).all()


def test_what_is_no_heatmap_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"found shape \(4, 4\), expected \(N, K, H, W\)"):
        decode_heatmaps(np.zeros((4, 4), np.float32), STRIDE)
    with pytest.raises(ArtifactError, match="heatmap kind 'offsets'"):
        decode_heatmaps(np.zeros((1, 1, 4, 4), np.float32), STRIDE, "offsets")


def test_a_graph_that_decodes_itself() -> None:
    values = np.array([[[3.5, 7.0, 0.5], [1.0, 2.0, 1.25]]], np.float32)
    keypoints, scores = split_keypoints(values)
    assert keypoints.tolist() == [[[3.5, 7.0], [1.0, 2.0]]]
    assert scores.tolist() == [[0.5, 1.0]]
    with pytest.raises(ArtifactError, match=r"found shape \(1, 2, 2\), expected \(N, K, 3\)"):
        split_keypoints(values[..., :2])
