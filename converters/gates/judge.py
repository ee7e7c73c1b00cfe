"""From two measurements to a verdict: every limit that was missed, in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from converters.gates.base import Limits
from converters.gates.watch import Watch
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Drift, Gate, GatePart
from edge_pose.types import FloatArray

ROUNDING_PX = 1e-2  # of float32 positions
MIN_CORRELATION = 0.8


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy of one network, percent.

    Attributes:
        metric: what it is.
        accuracy: over everybody.
        parts: by data set and metric: persons and accuracy; NaN where nobody can be judged.
        groups: by group of joints; NaN where nobody has one.
    """

    metric: str
    accuracy: float
    parts: Mapping[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An artifact beside its checkpoint.

    Attributes:
        dataset: names of the data sets.
        n_persons: persons that accuracy was measured on.
        before: the checkpoint's.
        after: the artifact's.
        drift_px: (M,) input px between both networks' finds of the same things.
        agreement: share of finds that are within one heatmap px of the other network's, in [0, 1].
        stride: input px per heatmap px.
        data_sha256: over annotations and pixels.
        per_joint: drift by keypoint.
        correlation: between the maps of both, where it was measured.
    """

    dataset: str
    n_persons: int
    before: Score
    after: Score
    drift_px: FloatArray
    agreement: float
    stride: int
    data_sha256: str
    per_joint: Mapping[str, FloatArray] = field(default_factory=dict)
    correlation: float | None = None


def judge(found: Comparison, checkpoint: Watch, artifact: Watch, limits: Limits) -> Gate:
    """Return the report.

    Args:
        found: the measurements.
        checkpoint: as it ran.
        artifact: as it ran.
        limits: what passes.
    """
    limit_px = limits.drift_heatmap_px * found.stride
    p50, p95 = _percentiles(found.drift_px)
    before, after = _rounded(found.before.accuracy), _rounded(found.after.accuracy)
    agreement = _rounded(found.agreement)
    correlation = None if found.correlation is None else _rounded(found.correlation)
    reasons = [
        *_faults(artifact),
        *_fell(before - after, limits),
        *_moved(p95, limit_px),
        *_disagree(agreement, limits),
        *_unlike(correlation),
    ]
    return Gate(
        passed=not reasons,
        dataset=found.dataset,
        metric=found.before.metric,
        n_persons=found.n_persons,
        checkpoint_accuracy=before,
        artifact_accuracy=after,
        limit_points=limits.points,
        drift_p50_px=p50,
        drift_p95_px=p95,
        limit_drift_px=limit_px,
        argmax_agreement=agreement,
        min_agreement=limits.min_agreement,
        per_group={
            name: None if np.isnan(value) else _rounded(value)
            for name, value in found.after.groups.items()
        },
        per_joint={name: _drift(px) for name, px in found.per_joint.items() if len(px)},
        output_range={"checkpoint": checkpoint.range, "artifact": artifact.range},
        parts=_parts(found),
        reasons=tuple(reasons),
        data_sha256=found.data_sha256,
        map_correlation=correlation,
    )


def check_sound(checkpoint: Watch) -> None:
    """Raise EdgePoseError where the checkpoint itself gives no numbers: nothing can be held to it.

    Raises:
        EdgePoseError: it does.
    """
    if checkpoint.broken:
        raise EdgePoseError(
            f"gate: the checkpoint's outputs are not numbers on {checkpoint.broken} of"
            f" {checkpoint.inputs} pictures"
        )


def joined_hash(*parts: str) -> str:
    """Return one SHA-256 of several."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def within(drift_px: FloatArray, stride: int) -> NDArray[np.bool_]:
    """Tell which drifts are no longer than one heatmap px."""
    near: NDArray[np.bool_] = drift_px <= stride + ROUNDING_PX
    return near


def _faults(artifact: Watch) -> Iterable[str]:
    if artifact.broken:
        pictures = f"{artifact.broken} of {artifact.inputs} pictures"
        yield f"outputs are not numbers on {pictures}"
    if artifact.low == artifact.high:
        yield f"all outputs are {artifact.low:g}"


def _fell(points: float, limits: Limits) -> Iterable[str]:
    if points > limits.points + 1e-9:
        yield f"accuracy falls by {points:.2f} points, {limits.points:g} pass"


def _moved(p95_px: float, limit_px: float) -> Iterable[str]:
    if p95_px > limit_px + ROUNDING_PX:
        yield f"drift p95 is {p95_px:.2f} px, {limit_px:g} pass"


def _disagree(agreement: float, limits: Limits) -> Iterable[str]:
    if agreement < limits.min_agreement:
        yield f"{agreement:.1%} within one heatmap px, {limits.min_agreement:.0%} pass"


def _unlike(correlation: float | None) -> Iterable[str]:
    if correlation is not None and correlation < MIN_CORRELATION:
        yield f"maps correlate by {correlation:.2f}, {MIN_CORRELATION:g} passes"


def _parts(found: Comparison) -> tuple[GatePart, ...]:
    rows = []
    for (dataset, metric), (count, accuracy) in found.before.parts.items():
        other = found.after.parts[dataset, metric][1]
        if np.isfinite(accuracy) and np.isfinite(other):
            rows.append(
                GatePart(
                    dataset=dataset,
                    metric=metric,
                    n_persons=count,
                    checkpoint_accuracy=_rounded(accuracy),
                    artifact_accuracy=_rounded(other),
                )
            )
    return tuple(rows)


def _percentiles(drift_px: FloatArray) -> tuple[float, float]:
    if not len(drift_px):
        return 0.0, 0.0
    p50, p95 = np.percentile(drift_px, [50, 95])
    return _rounded(p50), _rounded(p95)


def _drift(drift_px: FloatArray) -> Drift:
    p50, p95 = _percentiles(drift_px)
    return Drift(p50_px=p50, p95_px=p95)


def _rounded(value: float) -> float:
    """Three digits: enough to judge by, and the same on every run."""
    return round(float(value), 3)
