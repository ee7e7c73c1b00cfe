"""The gate of person detectors, on drawn people, with oracles in the place of networks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from converters.data import ConversionData
from converters.gates import Limits
from converters.gates.detector import MIN_BOXES, DetectorYardstick
from converters.gates.views import Views
from edge_pose.manifest import Gate
from training.datasets import Person
from training.datasets.boxes import by_picture
from training.detection.evaluate import SCORE


class Bench:
    """A yardstick and a way to hold damaged copies of its checkpoint against it."""

    def __init__(self, lab: SimpleNamespace, persons: tuple[Person, ...], answers: Any) -> None:
        views = Views([(path, None) for path in by_picture(persons)], lab.SIZE)
        answers = answers or lab.center_maps(persons, views)
        self.network = lab.Known("detector", views, answers, "logits")
        self.yardstick = DetectorYardstick(self.network, "drawn", persons)
        shape = (1, 5, 16, 16)
        self.artifact = lab.artifact_of(self.network, "detector", "centers", [shape])
        self.lab = lab

    def gate(self, damage: Any, limits: Limits) -> Gate:
        backend = self.lab.Damaged(self.network, damage)
        return self.yardstick.gate(self.artifact, backend, limits)


@pytest.fixture(scope="module")
def persons(drawn: ConversionData) -> tuple[Person, ...]:
    return drawn.drawn(people=3).gate.persons


@pytest.fixture(scope="module")
def strong(lab: SimpleNamespace, persons: tuple[Person, ...]) -> Bench:
    return Bench(lab, persons, None)


@pytest.fixture(scope="module")
def weak(lab: SimpleNamespace, persons: tuple[Person, ...]) -> Bench:
    """Never sure of anybody."""
    maps = lab.weak_maps(len(by_picture(persons)), 5, 16, 3, 2.0)
    for one in maps:
        one[0] -= 4
        one[3:] += 5
    return Bench(lab, persons, [[one] for one in maps])


def test_a_sound_artifact_passes(strong: Bench, lab: SimpleNamespace, limits: Limits) -> None:
    gate = strong.gate(lab.sound, limits)
    assert gate.reasons == ()
    assert gate.passed
    assert gate.n_persons == 120
    assert gate.metric == "recall at IoU 0.5 and score 0.3"
    assert gate.checkpoint_accuracy > 90
    assert gate.argmax_agreement > 0.95
    assert 0 < gate.drift_p95_px < lab.STRIDE
    assert len(gate.data_sha256) == 64


def test_every_damage_fails(strong: Bench, damage: Any, limits: Limits) -> None:
    gate = strong.gate(damage, limits)
    assert not gate.passed
    assert gate.reasons


def test_a_weak_checkpoint_lets_its_own_kind_pass(
    weak: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    sure = sum(int((scores >= SCORE).sum()) for _, scores in weak.yardstick.expected)
    assert sure < MIN_BOXES
    gate = weak.gate(lab.sound, limits)
    assert gate.reasons == ()
    assert gate.checkpoint_accuracy == 0


def test_a_weak_checkpoint_hides_no_damage(weak: Bench, damage: Any, limits: Limits) -> None:
    assert not weak.gate(damage, limits).passed


def test_false_boxes_are_disagreement(strong: Bench, lab: SimpleNamespace, limits: Limits) -> None:
    def everywhere(outputs: list[Any]) -> list[Any]:
        outputs[0][:, 0, ::5, ::5] = 3
        outputs[0][:, 3:, ::5, ::5] = 2
        return outputs

    gate = strong.gate(everywhere, limits)
    assert gate.artifact_accuracy > gate.checkpoint_accuracy - 1.5  # recall is blind to it
    assert gate.argmax_agreement < 0.6
    assert not gate.passed


def ghost(outputs: list[Any]) -> list[Any]:
    outputs[0][:, :, 1, 1] = (3, 0, 0, 2, 2)
    return outputs


def test_one_invented_box_per_picture_fails(strong: Bench, limits: Limits) -> None:
    gate = strong.gate(ghost, limits)
    assert gate.artifact_accuracy > gate.checkpoint_accuracy - 1.5  # recall is blind to it
    assert 0.6 < gate.argmax_agreement < 0.75
    assert not gate.passed


def test_an_invented_box_in_one_of_four_pictures_fails(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    gate = strong.gate(lab.one_in(4, ghost), limits)
    assert gate.lost_people == 0
    assert gate.invented_people == pytest.approx(15 / 135, abs=0.02)  # 60 pictures, 120 people
    reasons = [r for r in gate.reasons if "of the people found are not the checkpoint's" in r]
    assert len(reasons) == 1


def test_scores_that_slip_below_what_is_shown(strong: Bench, limits: Limits) -> None:
    def unsure(outputs: list[Any]) -> list[Any]:
        outputs[0][:, 0] -= 5.2  # 0.98 becomes 0.23: still found, no longer shown
        return outputs

    gate = strong.gate(unsure, limits)
    assert (gate.argmax_agreement, gate.drift_p95_px) == (1.0, 0.0)
    assert gate.same_side == 0
    assert gate.score_drift_p95 == pytest.approx(0.75, abs=0.02)
    assert any("same side of what a device shows" in reason for reason in gate.reasons)
    assert any("scores differ by 0.75" in reason for reason in gate.reasons)


def test_wrong_sizes_drift(strong: Bench, limits: Limits) -> None:
    def wider(outputs: list[Any]) -> list[Any]:
        outputs[0][:, 3] += 4  # map px: each corner by 2, 8 px of the input
        return outputs

    gate = strong.gate(wider, limits)
    assert any("drift p95" in reason for reason in gate.reasons)


def test_boxes_of_a_picture_are_its_people(persons: tuple[Person, ...]) -> None:
    counts = np.bincount([len(people) for people in by_picture(persons).values()])
    assert counts.tolist() == [0, 20, 20, 20]
