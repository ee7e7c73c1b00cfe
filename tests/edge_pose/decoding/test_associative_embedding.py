"""Grouping against people that were drawn at known places with known tags."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pose.decoding.associative_embedding import (
    decode_poses,
    fuse_outputs,
    fuse_scales,
    torso_first,
)
from edge_pose.errors import ArtifactError
from edge_pose.skeleton import COCO17, LSP14, MPII16
from edge_pose.types import FloatArray

K = 17
SIDE = 160  # of the input, px
ORDER = torso_first(COCO17)
Places = NDArray[np.float64]

# x, y of a standing person in units of the height, COCO's order.
BODY = np.array(
    [
        (0.50, 0.08), (0.53, 0.05), (0.47, 0.05), (0.56, 0.07), (0.44, 0.07),
        (0.62, 0.22), (0.38, 0.22), (0.68, 0.37), (0.32, 0.37), (0.71, 0.50), (0.29, 0.50),
        (0.57, 0.52), (0.43, 0.52), (0.58, 0.74), (0.42, 0.74), (0.59, 0.95), (0.41, 0.95),
    ]
)  # fmt: skip


def person(x: float, y: float, height: float) -> Places:
    return BODY * height + (x, y)


def draw(
    people: list[Places], tags: list[float], stride: float, *, side: int = SIDE, sigma: float = 2.0
) -> tuple[FloatArray, FloatArray]:
    """Return heatmaps and tags (K, h, w); keypoints that are NaN are not drawn."""
    size = round(side / stride)
    heat = np.zeros((K, size, size), np.float32)
    tag_maps = np.zeros_like(heat)
    grid = np.arange(size)
    for places, tag in zip(people, tags, strict=True):
        offset = grid - ((places + 0.5) / stride - 0.5)[:, :, None]  # (K, 2, size)
        across, down = np.nan_to_num(np.exp(-(offset**2) / (2 * sigma**2))).swapaxes(0, 1)
        bumps = (down[:, :, None] * across[:, None]).astype(np.float32)
        tag_maps[bumps > np.maximum(heat, 0.01)] = tag
        np.maximum(heat, bumps, out=heat)
    return heat, tag_maps


def outputs(people: list[Places], tags: list[float], side: int = SIDE) -> list[FloatArray]:
    """Return what a network with both resolutions gives."""
    coarse, fine = draw(people, tags, 4, side=side), draw(people, tags, 2, side=side)
    return [np.concatenate(coarse), fine[0]]


def match(found: list[tuple[FloatArray, FloatArray]], people: list[Places]) -> list[int]:
    """Return who each found pose is, by the nearest person."""
    return [
        int(np.argmin([np.nanmean(np.abs(keypoints - places)) for places in people]))
        for keypoints, _ in found
    ]


SCENES = {
    "two apart": [person(-8, 20, 80), person(60, 20, 130)],
    "three in a row": [person(-10, 30, 90), person(35, 50, 100), person(80, 20, 90)],
    "five": [person(x, y, 75) for x, y in ((-10, 0), (40, 5), (90, 10), (5, 80), (60, 84))],
    "crossing": [person(-5, 5, 150), person(30, 12, 140)],
    "one before the other": [person(0, 2, 155), person(45, 40, 90)],
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("order", [None, ORDER])
def test_people_are_found_where_they_are(scene: str, order: tuple[int, ...] | None) -> None:
    people = SCENES[scene]
    tags = [1.5 * i - 2.0 for i in range(len(people))]
    found = decode_poses(*draw(people, tags, 2), stride=2, order=order)
    assert sorted(match(found, people)) == list(range(len(people)))
    for (keypoints, scores), who in zip(found, match(found, people), strict=True):
        assert (keypoints.dtype, scores.dtype) == (np.float32, np.float32)
        assert np.linalg.norm(keypoints - people[who], axis=1).max() < 0.5
        assert scores.min() > 0.8
    means = [float(scores.mean()) for _, scores in found]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("flip", [False, True])
def test_people_are_found_in_fused_outputs(scene: str, flip: bool) -> None:
    people = SCENES[scene]
    tags = [1.5 * i for i in range(len(people))]
    mirrored = None
    if flip:
        partner = np.arange(K)
        for a, b in COCO17.flip_pairs:
            partner[[a, b]] = b, a
        others = [np.stack([SIDE - 1 - p[partner, 0], p[partner, 1]], axis=1) for p in people]
        mirrored = outputs(others, [5 - 2 * tag for tag in tags])  # tags differ in the mirror
    heatmaps, tag_maps = fuse_outputs(outputs(people, tags), mirrored, COCO17.flip_pairs)
    if flip:
        plain, _ = fuse_outputs(outputs(people, tags))
        assert np.abs(heatmaps - plain).max() < 1e-5
    found = decode_poses(heatmaps, tag_maps, stride=2, order=ORDER)
    assert sorted(match(found, people)) == list(range(len(people)))
    for (keypoints, _), who in zip(found, match(found, people), strict=True):
        assert np.linalg.norm(keypoints - people[who], axis=1).max() < 0.5


def test_several_scales() -> None:
    people, tags = SCENES["two apart"], [0.0, 3.0]
    heatmaps, tag_maps = fuse_outputs(outputs(people, tags))
    others = [
        fuse_outputs(outputs([(p + 0.5) * f - 0.5 for p in people], tags, int(SIDE * f)))[0]
        for f in (0.5, 2.0)
    ]
    fused = fuse_scales(heatmaps, others)
    found = decode_poses(fused, tag_maps, stride=2, order=ORDER, tag_threshold=1.0)
    assert sorted(match(found, people)) == [0, 1]
    for (keypoints, _), who in zip(found, match(found, people), strict=True):
        assert np.linalg.norm(keypoints - people[who], axis=1).max() < 0.5


def test_tags_and_not_places_make_a_person() -> None:
    # The wrists of each lie at the body of the other.
    first, second = person(-20, 20, 120), person(55, 20, 120)
    for wrist in (9, 10):
        first[wrist], second[wrist] = second[wrist].copy(), first[wrist].copy()
    found = decode_poses(*draw([first, second], [0.0, 2.0], 2), stride=2, order=ORDER)
    errors = [
        min(np.linalg.norm(keypoints - truth, axis=1).max() for truth in (first, second))
        for keypoints, _ in found
    ]
    assert len(errors) == 2
    assert max(errors) < 0.5


def test_missing_keypoints_have_no_score_and_lie_in_the_middle() -> None:
    whole, half = person(-20, 20, 120), person(55, 20, 120)
    legs = [13, 14, 15, 16]
    half[legs] = np.nan
    maps = draw([whole, half], [0.0, 2.0], 2)
    for refine in (False, True):  # nothing there to refine
        found = decode_poses(*maps, stride=2, order=ORDER, refine=refine)
        assert match(found, [whole, half]) == [0, 1]  # the whole one has the better mean score
        keypoints, scores = found[1]
        assert (scores[legs] == 0).all()
        assert (scores[:13] > 0.8).all()
        middle = keypoints[:13].mean(axis=0)
        assert keypoints[legs] == pytest.approx(np.tile(middle, (4, 1)), abs=1e-3)


def test_refining_takes_the_low_peak_of_the_persons_own_tag() -> None:
    people = [person(-20, 20, 120), person(55, 20, 120)]
    heat, tags = draw(people, [0.0, 2.0], 2)
    alone, _ = draw(people[:1], [0.0], 2)
    knee = COCO17.index("left_knee")
    heat[knee] -= alone[knee] * 0.95  # the first one's knee is hardly seen, the second one's is
    found = decode_poses(heat, tags, stride=2, order=ORDER, refine=False)
    keypoints, scores = found[match(found, people).index(0)]
    assert scores[knee] == 0
    found = decode_poses(heat, tags, stride=2, order=ORDER)
    keypoints, scores = found[match(found, people).index(0)]
    assert keypoints[knee] == pytest.approx(people[0][knee], abs=0.5)
    assert scores[knee] == pytest.approx(0.05, abs=0.01)


def test_a_keypoint_opens_its_own_person_where_no_tag_is_near() -> None:
    stray = np.full((K, 2), np.nan)
    stray[COCO17.index("left_ankle")] = (130.0, 140.0)
    people = [person(-20, 20, 120), stray]
    found = decode_poses(*draw(people, [0.0, 1.1], 2), stride=2, order=ORDER)
    assert [int((scores > 0).sum()) for _, scores in found] == [K, 1]
    found = decode_poses(*draw(people, [0.0, 1.1], 2), stride=2, order=ORDER, tag_threshold=1.5)
    assert len(found) == 2  # that ankle is taken already


def test_the_threshold_and_the_number_of_people() -> None:
    people = SCENES["three in a row"]
    heat, tags = draw(people, [0.0, 2.0, 4.0], 2)
    faint, _ = draw(people[:1], [0.0], 2)
    heat -= 0.6 * faint  # the first one is left with 0.4
    assert len(decode_poses(heat, tags, stride=2, detection_threshold=0.5)) == 2
    assert len(decode_poses(heat, tags, stride=2, detection_threshold=0.3)) == 3
    best = decode_poses(heat, tags, stride=2, max_people=2)
    assert sorted(match(best, people)) == [1, 2]


def test_every_person_of_a_crowd_is_found() -> None:
    people = [person(25 * i, 55 * j, 45) for i in range(9) for j in range(4)]
    tags = list(np.random.default_rng(0).permutation(36) * 1.5)
    found = decode_poses(
        *draw(people, tags, 2, side=288, sigma=1.0), stride=2, order=ORDER, max_people=40
    )
    assert sorted(match(found, people)) == list(range(36))


@pytest.mark.parametrize(
    ("adjust", "limit"), [("parabola", 0.05), ("quarter", 0.55), ("none", 1.05)]
)
def test_positions_within_the_px(adjust: str, limit: float) -> None:
    people = [person(8.3, 4.6, 150)]
    ((keypoints, _),) = decode_poses(*draw(people, [0.0], 2), stride=2, adjust=adjust)
    assert np.abs(keypoints - people[0]).max() < limit


def test_the_stride_maps_cell_centres_to_input_px() -> None:
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 5, 7] = heat[0, 0, 0] = 1
    tags = np.zeros_like(heat)
    tags[0, 0, 0] = 5
    found = decode_poses(heat, tags, stride=4)
    # Cell 7 covers the input px 28 to 31; a peak at the border is not pulled in or out.
    assert [keypoints.tolist() for keypoints, _ in found] == [[[1.5, 1.5]], [[29.5, 21.5]]]


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_empty_maps_hold_nobody(value: float) -> None:
    heat = np.full((K, 8, 8), value, np.float32)
    assert decode_poses(heat, np.zeros((K, 8, 8, 2), np.float32), stride=2) == []


def test_peaks_without_a_tag_are_nobody() -> None:
    heat, tags = draw(SCENES["two apart"], [0.0, 2.0], 2)
    assert decode_poses(heat, np.full_like(tags, np.nan), stride=2) == []


def test_single_broken_values_do_no_harm() -> None:
    people = SCENES["two apart"]
    heat, tags = draw(people, [0.0, 2.0], 2)
    heat[:, 70, 5] = np.nan
    heat[:, 72, 5] = np.inf
    tags[:, 74, 9] = np.nan
    found = decode_poses(heat, tags, stride=2, order=ORDER)
    assert sorted(match(found, people)) == [0, 1]
    for keypoints, scores in found:
        assert np.isfinite(keypoints).all()
        assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_any_maps_give_scores_in_range_and_places_in_the_picture(scale: float) -> None:
    rng = np.random.default_rng(0)
    heat = (rng.normal(size=(5, 20, 24)) * scale).astype(np.float32)
    tags = (rng.normal(size=(5, 20, 24, 2)) * scale).astype(np.float32)
    found = decode_poses(heat, tags, stride=4, max_people=7)
    assert len(found) == 7
    for keypoints, scores in found:
        assert ((scores >= 0) & (scores <= 1)).all()
        assert ((keypoints >= -0.5) & (keypoints <= np.array([24, 20]) * 4 - 0.5)).all()


def test_the_order_of_grouping() -> None:
    # As published: face, shoulders, hips, elbows, wrists, knees, ankles.
    assert ORDER == (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
    assert [MPII16.keypoints[i] for i in torso_first(MPII16)[:5]] == [
        "thorax", "upper_neck", "head_top", "right_shoulder", "left_shoulder",
    ]  # fmt: skip
    assert sorted(torso_first(LSP14)) == list(range(14))


def test_what_does_not_fit_is_refused() -> None:
    heat = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(ArtifactError, match=r"found shapes \(2, 4, 4\) and \(3, 4, 4, 1\)"):
        decode_poses(heat, np.zeros((3, 4, 4), np.float32), stride=2)
    with pytest.raises(ArtifactError, match="adjust 'half': expected one of parabola"):
        decode_poses(heat, heat, stride=2, adjust="half")
    with pytest.raises(ArtifactError, match=r"order: found \(0, 0\), expected each of 0 to 1"):
        decode_poses(heat, heat, stride=2, order=(0, 0))


def test_the_decoders_need_nothing_but_numpy() -> None:
    program = (
        "import sys, edge_pose.decoding.associative_embedding, edge_pose.decoding.centers\n"
        "import edge_pose.metrics.oks, edge_pose.metrics.swaps, edge_pose.metrics.pck\n"
        "print(sorted({'torch', 'scipy', 'cv2', 'pycocotools'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
