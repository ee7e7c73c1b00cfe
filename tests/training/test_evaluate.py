"""Evaluation: who is measured, and that checkpoint and artifact go through the same code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edge_pose
from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray
from training.checkpoint import pack_persons
from training.datasets import DatasetError, Person, load_dataset
from training.evaluate import ArtifactPredictor, measure, open_predictor, predict, unseen_persons
from training.samples import MIRROR, read_image
from training.targets import gaussian_targets


class Oracle:
    """Draws the right heatmaps of persons that come in a known order, moved by `offset` px."""

    spec = InputSpec((64, 64))
    stride = 4
    heatmap_kind = "gaussian"
    keypoints = MPII16

    def __init__(self, persons: list[Person], offset: float = 0.0, flipped: bool = False) -> None:
        from edge_pose.preprocess import apply_affine, region_affine

        points = [
            apply_affine(p.keypoints, region_affine(p.region((64, 64)), (64, 64))) for p in persons
        ]
        self.points = np.stack(points) + np.float32(offset)
        self.calls = 0
        self.flipped = flipped

    def heatmaps(self, tensor: FloatArray) -> FloatArray:
        import torch

        start = 0 if self.flipped else self.calls
        self.calls += 0 if self.flipped and self.calls == 0 else len(tensor)
        points = self.points[start : start + len(tensor)]
        if self.flipped and self.calls:
            points = points[:, MIRROR] * (-1, 1) + (63, 0)
        self.calls = max(self.calls, 1) if self.flipped else self.calls
        maps, _ = gaussian_targets(torch.from_numpy(points.astype(np.float32)), 4, (16, 16), 1.5)
        return np.asarray(maps.numpy(), np.float32)


def held_out(data: Path) -> list[Person]:
    return [p for p in load_dataset("mpii", data) if p.held_out]


def test_right_heatmaps_score_a_hundred_and_wrong_ones_nothing(generated: Path) -> None:
    persons = held_out(generated)
    assert measure(Oracle(persons), persons, flip_test=False).mean14 == 100.0
    assert measure(Oracle(persons, offset=25.0), persons, flip_test=False).mean14 < 20.0


def test_the_flip_test_mirrors_back(generated: Path) -> None:
    persons = held_out(generated)
    result = measure(Oracle(persons, flipped=True), persons, flip_test=True)
    assert result.mean14 == 100.0


def test_keypoints_come_back_in_source_px(generated: Path) -> None:
    persons = held_out(generated)
    for person, points, scores in predict(Oracle(persons), persons, flip_test=False):
        side = person.region((64, 64)).size[0]
        # Half a heatmap px of 4 input px, for the joints that lie well within the crop.
        low, high = np.array(person.center) - 0.45 * side, np.array(person.center) + 0.45 * side
        seen = person.present & ((person.keypoints > low) & (person.keypoints < high)).all(axis=1)
        assert seen.sum() >= 8
        assert np.abs(points - person.keypoints)[seen].max() < 0.5 * 4 * side / 64
        assert scores.shape == (16,)


def test_mpii_measures_its_validation_persons_and_nobody_trained_on(generated: Path) -> None:
    persons, left_out = unseen_persons("mpii", generated, {})
    assert [p.index for p in persons] == list(range(24, 32))
    assert left_out == 0
    # Another annotation file gives the same number to somebody else, so numbers do not count here.
    persons, left_out = unseen_persons("mpii", generated, {"mpii": pack_persons([24, 25, 1])})
    assert [p.index for p in persons] == list(range(24, 32))
    assert left_out == 0


def test_lspet_measures_whoever_was_not_trained_on(lspet: Path) -> None:
    seen = [i for i in range(40) if i not in (9, 29)]
    persons, left_out = unseen_persons("lspet", lspet, {"lspet": pack_persons(seen)})
    assert {p.index for p in persons} <= {9, 29}
    assert left_out == 36  # two of the forty have no picture
    everybody = pack_persons(range(40))
    with pytest.raises(DatasetError, match="nobody to measure on: 38 persons"):
        unseen_persons("lspet", lspet, {"lspet": everybody})


def test_an_artifact_is_measured_as_a_device_runs_it(
    tiny_artifact: Path, generated: Path, percent_correct: Callable[..., dict[str, float]]
) -> None:
    predictor, opened = open_predictor(str(tiny_artifact))
    assert isinstance(predictor, ArtifactPredictor)
    assert opened.manifest.gate.passed  # type: ignore[union-attr]
    persons = held_out(generated)
    # The truth is where a device finds the joints, moved away by four thresholds for some of them.
    right = np.random.default_rng(1).random((len(persons), 16)) < 0.6
    with edge_pose.load(tiny_artifact) as estimator:
        for i, person in enumerate(persons):
            pose = estimator.estimate(read_image(person.image), person.region((64, 64)))
            away = np.where(right[i], 0.0, 2 * person.unit_px)[:, None] * (1, 0)
            truth = (pose.keypoints + away).astype(np.float32)
            persons[i] = dataclasses.replace(person, keypoints=truth)
    expected = percent_correct([p.present for p in persons], right)
    result = measure(predictor, persons, flip_test=False)
    assert result.n_persons == 8
    assert result.mean14 == pytest.approx(expected["mean14"])
    assert result.mean12 == pytest.approx(expected["mean12"])
    assert result.per_joint == pytest.approx({name: expected[name] for name in MPII16.keypoints})
