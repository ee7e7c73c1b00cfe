"""What a gate asks of an artifact, and how it says what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.manifest import Gate

LIMIT_POINTS = {"fp32": 0.1, "fp16": 0.5, "dynamic_int8": 1.5, "int8": 1.5}
"""By precision: the largest fall of the accuracy, in percent points, that passes by default."""
MIN_CORRELATION = 0.8
"""Of any map of the artifact with the checkpoint's; sound 8-bit networks: 0.99."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What passes.

    Attributes:
        points: largest fall of the accuracy, percent points.
        drift_heatmap_px: largest p95 of the drift, px of the heatmap that is decoded.
        min_agreement: lowest share of keypoints within one heatmap px of the checkpoint's.
        min_joint_agreement: the same for every single keypoint of the format.
        score_drift: largest p95 of the difference of scores.
        min_same_side: lowest share of scores on the checkpoint's side of what a device shows.
        min_correlation: lowest correlation of any map with the checkpoint's.
        max_gain: largest factor, up or down, between any map and the checkpoint's.
    """

    points: float
    drift_heatmap_px: float = 1.5
    min_agreement: float = 0.75  # a sound 8-bit network keeps more than nine of ten
    min_joint_agreement: float = 0.5  # and more than eight of ten of the worst joint
    score_drift: float = 0.2  # sound: 0.01 to 0.06; half as large logits: 0.4
    min_same_side: float = 0.85  # sound: 0.98
    min_correlation: float = MIN_CORRELATION
    max_gain: float = 2.0  # sound: 1.05


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
