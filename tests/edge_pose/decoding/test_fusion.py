from __future__ import annotations

import numpy as np
import pytest

from edge_pose.decoding.fusion import fuse_outputs, fuse_scales, resize
from edge_pose.errors import ArtifactError
from edge_pose.skeleton import COCO17
from edge_pose.types import FloatArray

K, H, W = 17, 6, 8
PARTNER = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def outputs(seed: int = 0) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(2 * K, H, W)).astype(np.float32),
        rng.normal(size=(K, 2 * H, 2 * W)).astype(np.float32),
    ]


def seen_in_a_mirror(maps: list[FloatArray]) -> list[FloatArray]:
    coarse, fine = maps
    swapped = [*PARTNER, *(K + i for i in PARTNER)]
    return [coarse[swapped][:, :, ::-1], fine[PARTNER][:, :, ::-1]]


def test_heatmaps_are_averaged_and_tags_taken_from_the_coarse_output() -> None:
    coarse, fine = outputs()
    heatmaps, tags = fuse_outputs([coarse, fine])
    assert (heatmaps.shape, heatmaps.dtype) == ((K, 2 * H, 2 * W), np.float32)
    assert (tags.shape, tags.dtype) == ((K, 2 * H, 2 * W, 1), np.float32)
    raised = resize(coarse, (2 * H, 2 * W))
    assert heatmaps == pytest.approx((raised[:K] + fine) / 2, abs=1e-6)
    assert (tags[..., 0] == raised[K:]).all()


def test_doubling_weighs_the_four_nearest_px() -> None:
    row = np.array([[0.0, 4.0, 8.0, 4.0]], np.float32)
    doubled = [0.0, 1.0, 3.0, 5.0, 7.0, 7.0, 5.0, 4.0]
    assert resize(row, (1, 8))[0].tolist() == doubled
    assert resize(row.T, (8, 1))[:, 0].tolist() == doubled
    assert resize(row[:, :1], (3, 2)).tolist() == [[0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("size", [(12, 16), (9, 13), (3, 4), (6, 8), (5, 21)])
def test_resizing_is_that_of_opencv(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    maps = outputs()[0][:3]
    expected = [cv2.resize(m, size[::-1], interpolation=cv2.INTER_LINEAR) for m in maps]
    assert resize(maps, size) == pytest.approx(np.stack(expected), abs=1e-5)


def test_a_network_without_a_sense_of_side_gives_the_same_with_a_mirror() -> None:
    maps = outputs()
    plain_heatmaps, plain_tags = fuse_outputs(maps)
    heatmaps, tags = fuse_outputs(maps, seen_in_a_mirror(maps), COCO17.flip_pairs)
    assert heatmaps == pytest.approx(plain_heatmaps, abs=1e-6)
    assert tags.shape == (K, 2 * H, 2 * W, 2)
    assert tags[..., 0] == pytest.approx(plain_tags[..., 0], abs=1e-6)
    assert tags[..., 1] == pytest.approx(plain_tags[..., 0], abs=1e-6)


def test_the_mirror_swaps_left_and_right() -> None:
    maps, other = outputs(0), outputs(1)
    heatmaps, tags = fuse_outputs(maps, other, COCO17.flip_pairs)
    own, mirrored = fuse_outputs(maps), fuse_outputs(other)
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    assert heatmaps[left] == pytest.approx(
        (own[0][left] + mirrored[0][right][:, ::-1]) / 2, abs=1e-6
    )
    assert (tags[left, ..., 1] == mirrored[1][right, :, ::-1, 0]).all()
    assert (tags[0, ..., 1] == mirrored[1][0, :, ::-1, 0]).all()


def test_scales_are_averaged_at_the_size_of_the_first() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32), (2, 8, 16))
    # Twice the resolution of the same picture: px i has its centre at (i + 0.5) / 2 - 0.5.
    double = np.broadcast_to((np.arange(32, dtype=np.float32) + 0.5) / 2 - 0.5, (2, 16, 32))
    fused = fuse_scales(ramp, [double, np.zeros((2, 4, 8), np.float32)])
    assert fused == pytest.approx(ramp * 2 / 3, abs=1e-5)
    assert (fuse_scales(ramp, []) == ramp).all()
    assert ramp[0, 0, 3] == 3  # untouched


@pytest.mark.parametrize(
    "shapes",
    [
        [(2 * K, H, W)],
        [(2 * K, H, W), (K, 2 * H, 2 * W), (K, H, W)],
        [(K, H, W), (K, 2 * H, 2 * W)],
        [(2 * K, H, W), (K, H, W)],
        [(2 * K, H, W), (K, 2 * H + 1, 2 * W)],
        [(1, 2 * K, H, W), (1, K, 2 * H, 2 * W)],
    ],
)
def test_other_shapes_are_refused(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ArtifactError, match=r"outputs: found \(.*expected \(2K, h, w\), \(K, 2h"):
        fuse_outputs([np.zeros(shape, np.float32) for shape in shapes])


def test_a_mirror_image_of_another_size_is_refused() -> None:
    smaller = [np.zeros((2 * K, 4, 4), np.float32), np.zeros((K, 8, 8), np.float32)]
    with pytest.raises(ArtifactError, match=r"mirrored picture: found \(17, 8, 8\)"):
        fuse_outputs(outputs(), smaller, COCO17.flip_pairs)
