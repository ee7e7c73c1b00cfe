"""Augmented samples: keypoints stay on what they name, and the same key gives the same sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.preprocess import apply_affine, region_affine
from edge_pose.skeleton import MPII16
from training.datasets import DatasetError, Person, load_dataset
from training.samples import MIRROR, EpochSampler, Key, PersonSamples, read_image
from training.transforms import PLAIN, AugmentConfig, draw_view, jitter


@pytest.fixture
def dots(tmp_path: Path) -> Person:
    """A person whose joints are bright dots, each with its own brightness, on black."""
    image = np.zeros((200, 200, 3), np.uint8)
    keypoints = np.array([[40 + 8 * i, 60 + 5 * (i % 7) * 2] for i in range(16)], np.float32)
    for i, (x, y) in enumerate(keypoints):
        cv2.circle(image, (int(x), int(y)), 2, (100 + 9 * i,) * 3, -1)
    cv2.imwrite(str(tmp_path / "dots.png"), image)
    return Person(
        "mpii", 0, tmp_path / "dots.png", keypoints, np.ones(16, bool), (100.0, 95.0), 160.0,
        20.0, False, np.zeros((0, 2), np.float32),
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"p_flip": 1.0},
        {"p_rotate": 1.0, "rotate_deg": 25.0},
        {"p_flip": 1.0, "p_rotate": 1.0, "scale_sigma": 0.3, "shift": 0.05},
    ],
)
def test_keypoints_stay_on_their_dots(dots: Person, change: dict[str, float]) -> None:
    samples = PersonSamples([dots], PLAIN.model_copy(update=change))
    for position in range(6):
        sample = samples[Key(1, 0, position, 0, 256)]
        seen = 0
        for name, (x, y) in enumerate(sample.keypoints):
            if not (4 <= x < 251 and 4 <= y < 251):
                continue
            # After a flip, joint k carries the dot of its mirror partner.
            dot = MIRROR[name] if change.get("p_flip") else name
            patch = sample.crop[int(y) - 1 : int(y) + 3, int(x) - 1 : int(x) + 3, 0]
            assert abs(int(patch.max()) - (100 + 9 * int(dot))) <= 12
            seen += 1
        assert seen >= 8


def test_the_same_key_gives_the_same_sample(generated: Path) -> None:
    persons = load_dataset("mpii", generated)
    samples, again = (PersonSamples(persons, AugmentConfig()) for _ in range(2))
    for position in range(10):
        one, two = (s[Key(3, 1, position, 5, 96)] for s in (samples, again))
        assert np.array_equal(one.crop, two.crop)
        assert np.array_equal(one.keypoints, two.keypoints)
    crops = [samples[Key(3, epoch, 0, 5, 96)].crop for epoch in range(3)]
    assert not np.array_equal(crops[0], crops[1])


def test_an_epoch_repeats_data_sets_as_asked_and_differs_from_the_next() -> None:
    lspet, mpii = np.arange(20), np.arange(20, 32)
    sampler = EpochSampler([(mpii, 3), (lspet, 1)], seed=1)
    first = [key.person for key in sampler]
    assert len(first) == len(sampler) == 20 + 3 * 12
    assert sorted(first) == sorted([*range(20), *list(range(20, 32)) * 3])
    assert [key.person for key in sampler] == first
    sampler.epoch = 1
    assert [key.person for key in sampler] != first


def test_fractions_of_a_repeat_fall_on_others_in_each_epoch() -> None:
    sampler = EpochSampler([(np.arange(10), 2.5), (np.arange(10, 20), 0.3)], seed=1)
    extra = set()
    for sampler.epoch in range(4):
        counts = np.bincount([key.person for key in sampler], minlength=20)
        assert sorted(counts[:10]) == [2] * 5 + [3] * 5
        assert sorted(counts[10:]) == [0] * 7 + [1] * 3
        extra.add(tuple(counts))
    assert len(extra) == 4


def test_processes_share_the_batches_of_an_epoch() -> None:
    groups = [(np.arange(27), 1.0)]
    alone = list(EpochSampler(groups, seed=1, part=4))
    assert len(alone) == 24  # whole batches only
    shares = [list(EpochSampler(groups, seed=1, part=2, rank=r, world=2)) for r in (0, 1)]
    assert [len(share) for share in shares] == [12, 12]
    for step in range(6):
        both = [key for share in shares for key in share[2 * step : 2 * step + 2]]
        assert both == alone[4 * step : 4 * step + 4]


def test_background_views_show_no_joint(dots: Person) -> None:
    person = replace(dots, side=60.0, others=np.array([[20.0, 180.0]], np.float32))
    config = PLAIN.model_copy(update={"p_background": 1.0})
    away = 0
    for seed in range(40):
        view = draw_view(person, (200, 200), (64, 64), config, np.random.default_rng(seed))
        if view.region.size[0] == 60.0:  # nothing free was found: an ordinary view
            continue
        away += 1
        points = np.concatenate([person.keypoints, person.others])
        inside = apply_affine(points, region_affine(view.region, (64, 64)))
        assert not ((inside >= 0) & (inside <= 63)).all(axis=1).any()
    assert away > 10


def test_jitter_keeps_shape_and_can_do_nothing() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 40, 3)).astype(np.uint8)
    strong = AugmentConfig(p_gray=1, p_blur=1, p_cutout=1)
    changed = jitter(crop, strong, np.random.default_rng(1))
    assert changed.shape == crop.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - crop).mean() > 5


def test_mirror_table_swaps_left_and_right() -> None:
    names = MPII16.keypoints
    for i, j in enumerate(MIRROR):
        swapped = names[i].replace("left", "@").replace("right", "left").replace("@", "right")
        assert names[j] == swapped


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "gone.jpg"):
        with pytest.raises(DatasetError, match=name):
            read_image(tmp_path / name)
