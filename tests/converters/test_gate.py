from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from converters.data import ConversionData
from converters.gate import run_gate, verdict
from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import InputSpec, apply_affine, region_affine
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray
from training.datasets import Person

SPEC = InputSpec((64, 64), mean=(127.0,) * 3, std=(128.0,) * 3)
STRIDE = 4


@dataclass
class Oracle:
    """Knows the truth and moves some keypoints away from it."""

    persons: tuple[Person, ...]
    wrong: float = 0.0  # share of persons that are moved
    shift: int = 8  # heatmap px
    spec: InputSpec = SPEC
    stride: int = STRIDE
    heatmap_kind: str = "gaussian"
    keypoints: KeypointFormat = MPII16

    def __post_init__(self) -> None:
        self.done = 0

    def heatmaps(self, tensor: FloatArray) -> FloatArray:
        maps = np.zeros((len(tensor), 16, 16, 16), np.float32)
        for one in maps:
            person = self.persons[self.done]
            points = apply_affine(
                person.keypoints, region_affine(person.region((64, 64)), (64, 64))
            )
            cells = np.clip((points + 0.5) / STRIDE - 0.5, 0, 15).round().astype(int)
            if self.done < self.wrong * len(self.persons):
                cells[:, 0] = (cells[:, 0] + self.shift) % 16
            one[np.arange(16), cells[:, 1], cells[:, 0]] = 1.0
            self.done += 1
        return maps


@pytest.fixture
def persons(drawn: ConversionData) -> tuple[Person, ...]:
    return drawn.gate.persons


def test_the_same_network_passes(persons: tuple[Person, ...]) -> None:
    gate = run_gate(Oracle(persons), Oracle(persons), persons, "drawn")
    assert gate.passed
    assert gate.n_persons == len(persons) >= 100
    assert gate.checkpoint_accuracy == gate.artifact_accuracy > 80
    assert (gate.drift_p50_px, gate.drift_p95_px, gate.argmax_agreement) == (0.0, 0.0, 1.0)
    assert gate.per_group.keys() == {
        "head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle",
    }  # fmt: skip
    assert (gate.dataset, gate.metric) == ("drawn", "PCKh@0.5")


def test_a_fall_beyond_the_limit_fails_and_within_it_passes(persons: tuple[Person, ...]) -> None:
    moved = Oracle(persons, wrong=0.1)
    gate = run_gate(Oracle(persons), moved, persons, "drawn", limit_points=1.0)
    fall = gate.checkpoint_accuracy - gate.artifact_accuracy
    assert 5 < fall < 15
    assert not gate.passed
    assert gate.argmax_agreement == pytest.approx(0.9, abs=0.01)
    lenient = run_gate(Oracle(persons), Oracle(persons, wrong=0.1), persons, "drawn", fall + 0.1)
    assert lenient.passed
    assert lenient.limit_points == fall + 0.1


def test_a_weak_checkpoint_does_not_hide_a_broken_artifact(persons: tuple[Person, ...]) -> None:
    weak = Oracle(persons, wrong=1.0, shift=8)
    broken = Oracle(persons, wrong=1.0, shift=6)
    gate = run_gate(weak, broken, persons, "drawn")
    assert gate.checkpoint_accuracy - gate.artifact_accuracy < 1.0
    assert gate.argmax_agreement < 0.5
    assert not gate.passed


def test_drift_is_in_px_of_the_input(persons: tuple[Person, ...]) -> None:
    gate = run_gate(Oracle(persons), Oracle(persons, wrong=1.0, shift=1), persons, "drawn", 100.0)
    assert gate.drift_p50_px == pytest.approx(STRIDE, abs=0.01)
    assert gate.argmax_agreement > 0.5


def test_positions_that_are_not_numbers(persons: tuple[Person, ...]) -> None:
    class Broken(Oracle):
        heatmap_kind = "logits"

        def heatmaps(self, tensor: FloatArray) -> FloatArray:
            return np.full((len(tensor), 16, 16, 16), np.nan, np.float32)

    broken = Broken(persons, heatmap_kind="logits")
    with pytest.raises(EdgePoseError, match="the artifact gives positions that are not numbers"):
        run_gate(Oracle(persons), broken, persons, "drawn")


def test_joints_that_nobody_has_are_null(persons: tuple[Person, ...]) -> None:
    headless = []
    for person in persons:
        present = person.present.copy()
        present[9] = False
        headless.append(replace(person, present=present))
    people = tuple(headless)
    gate = run_gate(Oracle(people), Oracle(people), people, "drawn")
    assert gate.per_group["head"] is None
    assert "NaN" not in json.dumps(gate.model_dump())
    assert "passed" in verdict(gate)
