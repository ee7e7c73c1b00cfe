"""What a gate asks of an artifact, and how it says what it found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.manifest import Gate


@dataclass(frozen=True, slots=True)
class Limits:
    """What passes; by default what a sound 8-bit network keeps, with a margin.

    Sound ones keep the limits of accuracy and p95; they were measured on 543 persons and on 120
    drawn ones, whom their checkpoints know less well. benchmarks/results/gate_power.json tells how
    little damage is refused.

    Attributes:
        points: largest fall of the accuracy, percent points.
        drift_heatmap_px: largest p95 of the drift, px of the heatmap that is decoded.
        median_heatmap_px: largest p50 of the drift: everything that moves together.
        min_agreement: lowest share of keypoints within one heatmap px of the checkpoint's.
        min_joint_agreement: the same for every single keypoint of the format.
        people: largest share of people that one network is sure of and the other does not see.
        score_drift: largest p95 of the difference of scores.
        min_same_side: lowest share of scores on the checkpoint's side of what a device shows.
        min_correlation: lowest correlation of any map with the checkpoint's.
        max_gain: largest factor, up or down, between any map and the checkpoint's.
        max_offset: largest shift of any map's mean, in standard deviations of the checkpoint's.
    """

    points: float
    drift_heatmap_px: float = 1.5
    median_heatmap_px: float = 0.3  # sound: up to 0.14
    min_agreement: float = 0.9  # sound: 0.94 and more
    min_joint_agreement: float = 0.8  # sound: 0.89
    people: float = 0.05  # sound: up to 0.007
    score_drift: float = 0.1  # sound: up to 0.07
    min_same_side: float = 0.95  # sound: 0.987
    min_correlation: float = 0.95  # sound: 0.977
    max_gain: float = 1.15  # sound: up to 1.06
    max_offset: float = 0.2  # sound: up to 0.08


FLOAT = Limits(
    0.5,
    median_heatmap_px=0.05,  # sound: up to 0.008
    min_agreement=0.98,  # sound: 0.996 and more
    min_joint_agreement=0.9,  # sound: 0.975
    people=0.02,  # sound: 0
    score_drift=0.02,  # sound: up to 0.005
    min_same_side=0.98,  # sound: 0.999
    min_correlation=0.995,  # sound: 0.9999
    max_gain=1.02,  # sound: up to 1.002
    max_offset=0.02,  # sound: up to 0.002
)
LIMITS = {
    "fp32": replace(FLOAT, points=0.1),
    "fp16": FLOAT,
    "dynamic_int8": Limits(1.5),
    "int8": Limits(1.5),
}
"""By precision of the artifact."""


class Yardstick(Protocol):
    """What the float checkpoint gives on the gate's pictures, computed once for many artifacts."""

    def gate(self, artifact: Artifact, backend: Backend, limits: Limits) -> Gate:
        """Hold an artifact against the checkpoint.

        Args:
            artifact: of the same checkpoint.
            backend: the runtime that holds it.
            limits: what passes.

        Returns:
            The report, whether it passed or not: outputs that are not numbers fail it, too.

        Raises:
            BackendError: the runtime fails.
        """
        ...


def verdict(gate: Gate) -> str:
    """Return the report in one line."""
    if gate.passed:
        says = "passed"
    else:
        says = f"failed ({'; '.join(gate.reasons)})" if gate.reasons else "failed"
    return (
        f"gate {says}: {gate.metric}"
        f" {gate.checkpoint_accuracy:.2f} -> {gate.artifact_accuracy:.2f},"
        f" {gate.argmax_agreement:.1%} within one heatmap px,"
        f" drift p50 {gate.drift_p50_px:.2f} px, p95 {gate.drift_p95_px:.2f} px,"
        f" {gate.n_persons} persons of {gate.dataset}"
    )
