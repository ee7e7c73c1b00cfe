"""The gate of bottom-up networks, on drawn people, with oracles in the place of networks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from converters.data import ConversionData
from converters.gates import Limits
from converters.gates.bottom_up import BottomUpYardstick
from converters.gates.views import Views
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Gate
from training.datasets.scenes import Scene, load_scenes

SHAPES = [(1, 32, 16, 16), (1, 16, 32, 32)]


@pytest.fixture(scope="module")
def scenes(drawn: ConversionData) -> list[Scene]:
    crowd = drawn.drawn(people=3)
    return load_scenes("mpii", crowd.root)[:33]


class Bench:
    """A yardstick and a way to hold damaged copies of its checkpoint against it."""

    def __init__(self, lab: SimpleNamespace, scenes: list[Scene], answers: list[Any]) -> None:
        views = Views([(scene.image, None) for scene in scenes], lab.SIZE)
        answers = answers or lab.scene_maps(scenes, views)
        self.network = lab.Known("bottom_up", views, answers, "gaussian")
        self.yardstick = BottomUpYardstick(self.network, "drawn", scenes)
        self.artifact = lab.artifact_of(self.network, "bottom_up", "associative_embedding", SHAPES)
        self.lab = lab

    def gate(self, damage: Any, limits: Limits) -> Gate:
        backend = self.lab.Damaged(self.network, damage)
        return self.yardstick.gate(self.artifact, backend, limits)


@pytest.fixture(scope="module")
def strong(lab: SimpleNamespace, scenes: list[Scene]) -> Bench:
    return Bench(lab, scenes, [])


@pytest.fixture(scope="module")
def weak(lab: SimpleNamespace, scenes: list[Scene]) -> Bench:
    """Finds nobody: low hills where no people are."""
    coarse = lab.weak_maps(len(scenes), 32, 16, 1, 0.15)
    fine = lab.weak_maps(len(scenes), 16, 32, 2, 0.15)
    return Bench(lab, scenes, [list(pair) for pair in zip(coarse, fine, strict=True)])


def test_a_sound_artifact_passes(strong: Bench, lab: SimpleNamespace, limits: Limits) -> None:
    gate = strong.gate(lab.sound, limits)
    assert gate.reasons == ()
    assert gate.passed
    assert gate.n_persons == 66
    assert gate.checkpoint_accuracy > 60  # joints of neighbours share px at this size
    assert gate.argmax_agreement > 0.95
    assert gate.drift_p95_px < lab.STRIDE
    assert gate.map_correlation is not None
    assert gate.map_correlation > 0.9
    assert gate.map_gain == pytest.approx(1, abs=0.05)
    assert set(gate.joint_agreement) == set(strong.network.keypoints.keypoints)
    assert gate.score_drift_p95 is not None
    assert gate.score_drift_p95 < 0.05
    assert gate.same_side == 1.0
    assert set(gate.per_joint) == set(strong.network.keypoints.keypoints)
    assert {(part.dataset, part.metric) for part in gate.parts} == {
        ("mpii", "PCKh@0.5, missed people wrong"),
        ("mpii", "AP (OKS)"),
    }
    assert len(gate.data_sha256) == 64
    assert strong.yardstick.strong


def test_every_damage_fails(strong: Bench, damage: Any, limits: Limits) -> None:
    gate = strong.gate(damage, limits)
    assert not gate.passed
    assert gate.reasons
    assert "nan" not in gate.model_dump_json().lower().replace("not numbers", "")


def test_a_weak_checkpoint_lets_its_own_kind_pass(
    weak: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    assert not weak.yardstick.strong
    gate = weak.gate(lab.sound, limits)
    assert gate.reasons == ()
    assert gate.checkpoint_accuracy < 20


def test_a_weak_checkpoint_hides_no_damage(weak: Bench, damage: Any, limits: Limits) -> None:
    assert not weak.gate(damage, limits).passed


def test_damaged_tags_show_in_the_maps(strong: Bench, weak: Bench, limits: Limits) -> None:
    def tagless(outputs: list[Any]) -> list[Any]:
        outputs[0][:, 16:] = outputs[0][:, 16:][:, :, ::-1, ::-1]
        return outputs

    for bench in (strong, weak):
        gate = bench.gate(tagless, limits)
        assert any("maps correlate" in reason for reason in gate.reasons)


def test_people_whom_only_the_artifact_sees_are_disagreement(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    def twins(outputs: list[Any]) -> list[Any]:
        """Everybody once more, in the mirror, with tags of their own."""
        coarse, fine = outputs
        heat = np.maximum(coarse[:, :16], coarse[:, :16, :, ::-1])
        mirrored = coarse[:, :16, :, ::-1] > coarse[:, :16]
        tags = np.where(mirrored, 20 + coarse[:, 16:, :, ::-1], coarse[:, 16:])
        return [
            np.concatenate([heat, tags], axis=1).astype(np.float32),
            np.maximum(fine, fine[..., ::-1]),
        ]

    gate = strong.gate(twins, limits)
    assert gate.argmax_agreement < 0.6  # of the artifact's finds; of the checkpoint's it is more
    assert not gate.passed
    assert any("within one heatmap px" in reason for reason in gate.reasons)


def ghost(outputs: list[Any]) -> list[Any]:
    """Somebody in a corner, with a tag of his own; everybody else is untouched."""
    coarse, fine = outputs
    for i, (x, y) in enumerate(np.ndindex(4, 4)):
        coarse[:, i, y, x], fine[:, i, 2 * y, 2 * x] = 1, 1
        coarse[:, 16 + i, : y + 2, : x + 2] = 60
    return outputs


def test_one_invented_person_per_picture_fails(strong: Bench, limits: Limits) -> None:
    gate = strong.gate(ghost, limits)
    assert gate.artifact_accuracy > gate.checkpoint_accuracy - 5  # accuracy is nearly blind to it
    assert gate.argmax_agreement < 0.75
    assert not gate.passed


def test_an_invented_person_in_one_of_four_pictures_fails(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    gate = strong.gate(lab.one_in(4, ghost), limits)
    assert gate.lost_people == 0
    assert gate.invented_people == pytest.approx(8 / 74, abs=0.02)  # 33 pictures, 66 people
    assert gate.limit_people == 0.05
    assert any("of the people found are not the checkpoint's" in r for r in gate.reasons)


def test_people_lost_in_one_of_eight_pictures_fail(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    patient = replace(limits, points=100.0, min_agreement=0.0, min_joint_agreement=0.0)
    gate = strong.gate(lab.one_in(8, lambda outputs: [0 * o for o in outputs]), patient)
    assert gate.invented_people == 0
    assert any("of the people are lost, 5% pass" in r for r in gate.reasons)


def test_a_joint_that_is_gone_fails(
    strong: Bench, weak: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    """The pelvis counts for no accuracy, and is less than a tenth of all keypoints."""
    pelvis = lab.MPII16.index("pelvis")

    def dead_pelvis(outputs: list[Any]) -> list[Any]:
        for output in outputs:
            output[:, pelvis] = 0
        return outputs

    for bench in (strong, weak):
        gate = bench.gate(dead_pelvis, limits)
        assert not gate.passed
        assert gate.map_correlation == 0
        assert "maps correlate by 0.000, 0.95 passes" in gate.reasons
    gate = strong.gate(dead_pelvis, limits)
    assert gate.argmax_agreement > 0.75
    assert gate.drift_p95_px < lab.STRIDE
    assert gate.joint_agreement["pelvis"] == 0
    assert "pelvis: 0.0% within one heatmap px, 80% pass" in gate.reasons


def test_a_checkpoint_without_numbers_is_no_yardstick(
    lab: SimpleNamespace, scenes: list[Scene]
) -> None:
    broken = [[np.full(s[1:], np.nan, np.float32) for s in SHAPES] for _ in scenes]
    with pytest.raises(EdgePoseError, match="checkpoint's outputs are not numbers on 33 of 33"):
        Bench(lab, scenes, broken)


def test_the_report_is_the_same_each_time(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    assert strong.gate(lab.sound, limits) == strong.gate(lab.sound, limits)
