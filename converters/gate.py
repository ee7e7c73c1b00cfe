"""The gate: an artifact is good when it does what its float checkpoint does.

Both get the same crops of people that no training saw. Two things are asked:

- accuracy, by the data set's own metric, falls by no more than the limit;
- most keypoints stay where they were. This one catches a broken artifact of a weak checkpoint,
  whose accuracy has nothing to lose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Gate
from edge_pose.types import FloatArray
from training.datasets import Person
from training.evaluate import METRIC, Predictor, measure_predictions, predict

LIMIT_POINTS = 1.0
ROUNDING_PX = 1e-2  # of float32 positions in large pictures
MIN_AGREEMENT = 0.75  # a sound 8-bit network keeps more than nine of ten


def run_gate(
    checkpoint: Predictor,
    artifact: Predictor,
    persons: Sequence[Person],
    dataset: str,
    limit_points: float = LIMIT_POINTS,
) -> Gate:
    """Measure both and compare.

    Args:
        checkpoint: the float network.
        artifact: what was made of it.
        persons: annotated persons of one data set, each with its PCK unit.
        dataset: their name for the report.
        limit_points: largest fall of the accuracy, in percent points, that passes.

    Raises:
        EdgePoseError: one of them gives positions that are not numbers.
    """
    expected, found = _positions(checkpoint, persons), _positions(artifact, persons)
    for name, points in (("checkpoint", expected), ("artifact", found)):
        if not np.isfinite(points).all():
            raise EdgePoseError(f"gate: the {name} gives positions that are not numbers")
    before, after = (
        measure_predictions(persons, expected, checkpoint.keypoints),
        measure_predictions(persons, found, checkpoint.keypoints),
    )
    size = checkpoint.spec.size
    zoom = np.array([size[0] / person.region(size).size[0] for person in persons])
    drift_px = np.linalg.norm(found - expected, axis=2) * zoom[:, None]
    agreement = float((drift_px <= checkpoint.stride + ROUNDING_PX).mean())
    fall = before.mean14 - after.mean14
    return Gate(
        passed=bool(fall <= limit_points and agreement >= MIN_AGREEMENT),
        dataset=dataset,
        metric=METRIC[persons[0].dataset],
        n_persons=len(persons),
        checkpoint_accuracy=_rounded(before.mean14),
        artifact_accuracy=_rounded(after.mean14),
        limit_points=limit_points,
        drift_p50_px=_rounded(np.percentile(drift_px, 50)),
        drift_p95_px=_rounded(np.percentile(drift_px, 95)),
        argmax_agreement=_rounded(agreement),
        per_group={
            name: None if np.isnan(value) else _rounded(value)
            for name, value in after.per_group.items()
        },
    )


def verdict(gate: Gate) -> str:
    """Return the report in one line."""
    return (
        f"gate {'passed' if gate.passed else 'failed'}: {gate.metric}"
        f" {gate.checkpoint_accuracy:.2f} -> {gate.artifact_accuracy:.2f}"
        f" (a fall of {gate.limit_points:g} points passes),"
        f" {gate.argmax_agreement:.1%} of keypoints within one heatmap px"
        f" ({MIN_AGREEMENT:.0%} passes), drift p50 {gate.drift_p50_px:.2f} px,"
        f" p95 {gate.drift_p95_px:.2f} px, {gate.n_persons} persons of {gate.dataset}"
    )


def _positions(predictor: Predictor, persons: Sequence[Person]) -> FloatArray:
    """Return (N, K, 2) px of the source pictures."""
    return np.stack([points for _, points, _ in predict(predictor, persons, flip_test=False)])


def _rounded(value: float) -> float:
    """Three digits: enough to judge by, and the same on every run."""
    return round(float(value), 3)
