"""The gate of top-down networks, on drawn people, with oracles in the place of networks."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from converters.data import ConversionData
from converters.gates import LIMITS, Limits, verdict
from converters.gates.top_down import TopDownYardstick
from converters.gates.views import Views
from edge_pose.decoding.heatmap import decode_heatmaps
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Gate
from training.datasets import Person


class Bench:
    """A yardstick and a way to hold damaged copies of its checkpoint against it."""

    def __init__(
        self, lab: SimpleNamespace, persons: tuple[Person, ...], answers: Any = None
    ) -> None:
        views = Views([(p.image, p.region(lab.SIZE)) for p in persons], lab.SIZE)
        answers = answers or lab.person_maps(persons, views)
        self.network = lab.Known("top_down", views, answers, "gaussian")
        self.yardstick = TopDownYardstick(self.network, "drawn", persons)
        shape = (1, 16, 16, 16)
        self.artifact = lab.artifact_of(self.network, "top_down", "heatmap", [shape])
        self.lab = lab

    def gate(self, damage: Any, limits: Limits) -> Gate:
        backend = self.lab.Damaged(self.network, damage)
        return self.yardstick.gate(self.artifact, backend, limits)


@pytest.fixture(scope="module")
def persons(drawn: ConversionData) -> tuple[Person, ...]:
    return drawn.gate.persons


@pytest.fixture(scope="module")
def strong(lab: SimpleNamespace, persons: tuple[Person, ...]) -> Bench:
    return Bench(lab, persons)


@pytest.fixture(scope="module")
def weak(lab: SimpleNamespace, persons: tuple[Person, ...]) -> Bench:
    """Finds every joint where it is not."""
    maps = lab.weak_maps(len(persons), 16, 16, 4, 0.3)
    return Bench(lab, persons, [[one] for one in maps])


def first_tenth(damage: Any, count: int) -> Any:
    """Let something happen to a tenth of the pictures only."""
    calls = iter(range(count))

    def run(outputs: list[Any]) -> list[Any]:
        return damage(outputs) if next(calls) < count // 10 else outputs

    return run


def test_the_same_outputs_pass(strong: Bench, limits: Limits) -> None:
    gate = strong.gate(lambda outputs: outputs, limits)
    assert gate.passed
    assert gate.reasons == ()
    assert gate.n_persons == len(strong.yardstick.persons) >= 100
    assert gate.checkpoint_accuracy == gate.artifact_accuracy > 80
    assert (gate.drift_p50_px, gate.drift_p95_px, gate.argmax_agreement) == (0.0, 0.0, 1.0)
    assert gate.per_group.keys() == {
        "head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle",
    }  # fmt: skip
    assert (gate.dataset, gate.metric) == ("drawn", "PCKh@0.5")
    assert (gate.limit_points, gate.limit_drift_px, gate.min_agreement) == (1.5, 6.0, 0.9)
    assert gate.output_range["checkpoint"] == gate.output_range["artifact"]
    assert "passed" in verdict(gate)


def test_a_sound_artifact_passes(strong: Bench, lab: SimpleNamespace, limits: Limits) -> None:
    gate = strong.gate(lab.sound, limits)
    assert gate.passed
    assert 0 < gate.drift_p95_px < lab.STRIDE
    assert gate.output_range["artifact"] != gate.output_range["checkpoint"]


def test_every_damage_fails(strong: Bench, damage: Any, limits: Limits) -> None:
    gate = strong.gate(damage, limits)
    assert not gate.passed
    assert gate.reasons
    assert "\n" not in verdict(gate)
    assert verdict(gate).startswith("gate failed (")
    json.loads(gate.model_dump_json())


def test_a_weak_checkpoint_hides_no_damage(
    weak: Bench, lab: SimpleNamespace, damage: Any, limits: Limits
) -> None:
    assert weak.gate(lab.sound, limits).passed
    gate = weak.gate(damage, limits)
    assert gate.checkpoint_accuracy < 20
    assert not gate.passed


def test_a_fall_beyond_the_limit_fails_and_within_it_passes(
    strong: Bench, lab: SimpleNamespace
) -> None:
    count = len(strong.yardstick.persons)
    generous = Limits(
        100.0, drift_heatmap_px=100.0, min_agreement=0.8, score_drift=1.0, min_correlation=-1.0,
        max_gain=10.0,
    )  # fmt: skip
    gate = strong.gate(first_tenth(lab.swapped, count), generous)
    assert gate.passed
    fall = gate.checkpoint_accuracy - gate.artifact_accuracy
    assert 3 < fall < 15
    assert gate.argmax_agreement == pytest.approx(0.9, abs=0.05)
    for points, passes in ((fall - 0.01, False), (fall + 0.01, True)):
        limits = replace(generous, points=points)
        again = strong.gate(first_tenth(lab.swapped, count), limits)
        assert again.passed == passes
    exact = strong.gate(first_tenth(lab.swapped, count), replace(generous, points=0.0))
    assert exact.reasons == (f"accuracy falls by {fall:.3f} points, 0 pass",)


def test_drift_is_in_px_of_the_input(strong: Bench, lab: SimpleNamespace) -> None:
    def one_px(outputs: list[Any]) -> list[Any]:
        return [np.pad(outputs[0], ((0, 0), (0, 0), (0, 0), (1, 0)))[..., :-1]]

    gate = strong.gate(one_px, Limits(100.0))
    assert gate.drift_p50_px == pytest.approx(lab.STRIDE, abs=0.6)
    assert gate.per_joint["left_wrist"].p50_px == pytest.approx(lab.STRIDE, abs=0.6)


def test_everything_that_moves_together_fails(strong: Bench, limits: Limits) -> None:
    """Half a heatmap px is 2 px of the input, within every limit of the single keypoint."""

    def aside(outputs: list[Any]) -> list[Any]:
        return [(o + np.roll(o, 1, axis=-1)) / np.float32(2) for o in outputs]

    patient = replace(limits, min_correlation=-1.0, max_gain=10.0, score_drift=1.0)
    gate = strong.gate(aside, patient)
    assert gate.drift_p95_px < 6
    assert gate.argmax_agreement > 0.9
    assert gate.limit_median_px == pytest.approx(1.2)
    assert any(reason.startswith("drift p50 is ") for reason in gate.reasons)


@pytest.mark.parametrize("joint", ["left_wrist", "pelvis"])
def test_a_dead_joint_fails(
    strong: Bench, weak: Bench, lab: SimpleNamespace, limits: Limits, joint: str
) -> None:
    def dead(outputs: list[Any]) -> list[Any]:
        outputs[0][:, lab.MPII16.index(joint)] = 0
        return outputs

    patient = replace(limits, points=100.0, drift_heatmap_px=100.0, min_correlation=-1.0)
    for bench in (strong, weak):
        gate = bench.gate(dead, patient)
        assert gate.argmax_agreement > 0.9
        assert gate.joint_agreement[joint] < 0.1
        assert any(reason.startswith(f"{joint}: ") for reason in gate.reasons)


def test_scores_are_held_to_what_a_device_shows(
    strong: Bench, lab: SimpleNamespace, limits: Limits
) -> None:
    gate = strong.gate(lab.quiet, limits)
    assert (gate.argmax_agreement, gate.drift_p95_px) == (1.0, pytest.approx(0, abs=0.1))
    assert gate.artifact_accuracy == gate.checkpoint_accuracy
    assert gate.same_side == 0
    assert gate.map_gain == 0.02
    assert gate.limit_score_drift == limits.score_drift
    assert any(reason.startswith("scores differ by 0.9") for reason in gate.reasons)
    assert any("same side of what a device shows" in reason for reason in gate.reasons)
    assert any("maps are 0.02 times" in reason for reason in gate.reasons)
    assert not gate.broken


def test_a_graph_that_decodes_has_scores_and_no_maps(
    strong: Bench, limits: Limits, lab: SimpleNamespace
) -> None:
    def decoded(factor: float) -> Any:
        def run(outputs: list[Any]) -> list[Any]:
            points, scores = decode_heatmaps(outputs[0], lab.STRIDE, "gaussian")
            return [np.concatenate([points, factor * scores[..., None]], axis=2)]

        return run

    gate = strong.gate(decoded(1.0), limits)
    assert gate.reasons == ()
    assert (gate.map_correlation, gate.map_gain, gate.max_gain) == (None, None, None)
    assert not strong.gate(decoded(0.02), limits).passed


def test_some_pictures_without_numbers(strong: Bench, lab: SimpleNamespace, limits: Limits) -> None:
    count = len(strong.yardstick.persons)
    gate = strong.gate(first_tenth(lab.nothing, count), limits)
    assert gate.reasons[0] == f"outputs are not numbers on {count // 10} of {count} pictures"


def test_joints_that_nobody_has_are_null(
    lab: SimpleNamespace, persons: tuple[Person, ...], limits: Limits
) -> None:
    headless = []
    for person in persons[:20]:
        present = person.present.copy()
        present[9] = False
        headless.append(replace(person, present=present))
    gate = Bench(lab, tuple(headless)).gate(lab.sound, limits)
    assert gate.per_group["head"] is None
    assert "NaN" not in json.dumps(gate.model_dump())


def test_several_data_sets_are_pooled(
    lab: SimpleNamespace, persons: tuple[Person, ...], limits: Limits
) -> None:
    """Every fourth person is of another data set, and all of those are missed."""
    mixed = tuple(
        replace(p, dataset="lspet") if i % 4 == 0 else p for i, p in enumerate(persons[:80])
    )
    bench = Bench(lab, mixed)
    calls = iter(range(80))

    def miss(outputs: list[Any]) -> list[Any]:
        return lab.constant(outputs) if next(calls) % 4 == 0 else outputs

    gate = bench.gate(miss, limits)
    parts = {part.dataset: part for part in gate.parts}
    assert parts["lspet"].n_persons == 20
    assert parts["lspet"].metric == "PCK@0.2 (torso)"
    assert parts["mpii"].checkpoint_accuracy == parts["mpii"].artifact_accuracy
    assert parts["lspet"].artifact_accuracy < 30
    assert gate.metric == "right joints: PCK@0.2 (torso) in lspet, PCKh@0.5 in mpii"
    low, high = sorted(part.artifact_accuracy for part in gate.parts)
    assert gate.artifact_accuracy == pytest.approx(0.25 * low + 0.75 * high, abs=1.0)


def test_annotations_and_pixels_are_hashed(
    lab: SimpleNamespace, persons: tuple[Person, ...], limits: Limits, tmp_path: Any
) -> None:
    few = persons[:16]
    hashes = {Bench(lab, few).gate(lab.sound, limits).data_sha256 for _ in range(2)}
    moved = (replace(few[0], keypoints=few[0].keypoints + 1), *few[1:])
    hashes.add(Bench(lab, moved).gate(lab.sound, limits).data_sha256)
    data = bytearray(few[0].image.read_bytes())
    other = tmp_path / few[0].image.name  # the same name, another picture
    other.write_bytes(persons[20].image.read_bytes())
    assert data != other.read_bytes()
    repainted = (replace(few[0], image=other), *few[1:])
    hashes.add(Bench(lab, repainted).gate(lab.sound, limits).data_sha256)
    assert len(hashes) == 3


def test_a_checkpoint_without_numbers_is_no_yardstick(
    lab: SimpleNamespace, persons: tuple[Person, ...]
) -> None:
    broken = [[np.full((16, 16, 16), np.nan, np.float32)] for _ in persons]
    with pytest.raises(EdgePoseError, match="checkpoint's outputs are not numbers on 120 of 120"):
        Bench(lab, persons, broken)


def test_views_beyond_the_cache_are_cut_anew(
    lab: SimpleNamespace, persons: tuple[Person, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [(p.image, p.region(lab.SIZE)) for p in persons[:6]]
    kept = Views(looks, lab.SIZE)
    monkeypatch.setattr("converters.gates.views.CACHE_BYTES", 2 * 64 * 64 * 3)
    cut = Views(looks, lab.SIZE)
    assert (len(cut), cut.sha256) == (6, kept.sha256)
    for one, other in zip(kept, cut, strict=True):
        assert np.array_equal(one.image, other.image)


def test_limits_by_precision() -> None:
    points = {name: limits.points for name, limits in LIMITS.items()}
    assert points == {"fp32": 0.1, "fp16": 0.5, "dynamic_int8": 1.5, "int8": 1.5}
    assert {limits.drift_heatmap_px for limits in LIMITS.values()} == {1.5}


def test_floats_may_differ_less_than_integers(strong: Bench) -> None:
    def louder(outputs: list[Any]) -> list[Any]:
        return [o * np.float32(1.05) for o in outputs]

    assert strong.gate(louder, LIMITS["int8"]).reasons == ()
    for precision in ("fp16", "fp32"):
        reasons = strong.gate(louder, LIMITS[precision]).reasons
        assert "maps are 1.05 times the checkpoint's, 1.02 passes" in reasons
