"""From two measurements to a verdict; see converters.gates.reasons for what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from converters.gates.base import Limits
from converters.gates.maps import Likeness
from converters.gates.reasons import ROUNDING_PX, faults, missed, unmeasured
from converters.gates.scores import ScorePairs
from converters.gates.watch import Watch
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Drift, Gate, GatePart
from edge_pose.types import FloatArray

People = tuple[float | None, float | None]
"""Share that is lost, share that is invented; None where too few are counted."""

MIN_PEOPLE = 50  # one of them is 2 %, what floats may lose; of fewer a share says too little


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
        agreement: share of finds that are within one heatmap px of the other network's, in [0, 1],
            in the direction where it is lower.
        scores: of the same finds.
        stride: input px per heatmap px.
        data_sha256: over annotations and pixels.
        per_joint: drift by keypoint.
        joint_agreement: agreement by keypoint.
        people: share of the people that the checkpoint is sure of whom the artifact lost, and share
            of those that the artifact is sure of whom it invented; None where too few are counted.
        maps: how alike the maps of both are; None where the graph decodes and there are none.
    """

    dataset: str
    n_persons: int
    before: Score
    after: Score
    drift_px: FloatArray
    agreement: float
    scores: ScorePairs
    stride: int
    data_sha256: str
    per_joint: Mapping[str, FloatArray] = field(default_factory=dict)
    joint_agreement: Mapping[str, float] = field(default_factory=dict)
    people: People = (None, None)
    maps: Likeness | None = None


def judge(found: Comparison, checkpoint: Watch, artifact: Watch, limits: Limits) -> Gate:
    """Return the report; a figure that is no number fails it and stands as 0 in it.

    Args:
        found: the measurements.
        checkpoint: as it ran.
        artifact: as it ran.
        limits: what passes.
    """
    report = _report(found, checkpoint, artifact, limits)
    report = report.model_copy(update=_people(found, limits) | _maps(found, limits))
    broken = (*faults(artifact), *unmeasured(_figures(found)))
    reasons = (*broken, *missed(report, limits))
    return report.model_copy(
        update={"passed": not reasons, "reasons": reasons, "broken": bool(broken)}
    )


def _report(found: Comparison, checkpoint: Watch, artifact: Watch, limits: Limits) -> Gate:
    """Return what there is for every task, and no verdict yet."""
    p50, p95 = _percentiles(found.drift_px)
    return Gate(
        passed=False,
        dataset=found.dataset,
        metric=found.before.metric,
        n_persons=found.n_persons,
        checkpoint_accuracy=_rounded(found.before.accuracy),
        artifact_accuracy=_rounded(found.after.accuracy),
        limit_points=limits.points,
        drift_p50_px=p50,
        drift_p95_px=p95,
        limit_drift_px=limits.drift_heatmap_px * found.stride,
        limit_median_px=limits.median_heatmap_px * found.stride,
        argmax_agreement=_rounded(found.agreement),
        min_agreement=limits.min_agreement,
        joint_agreement={
            name: _rounded(share) for name, share in sorted(found.joint_agreement.items())
        },
        min_joint_agreement=limits.min_joint_agreement if found.joint_agreement else None,
        score_drift_p95=_rounded(found.scores.drift_p95),
        limit_score_drift=limits.score_drift,
        same_side=_rounded(found.scores.same_side),
        min_same_side=limits.min_same_side,
        per_group={
            name: None if np.isnan(value) else _rounded(value)
            for name, value in found.after.groups.items()
        },
        per_joint={name: _drift(px) for name, px in found.per_joint.items() if len(px)},
        output_range={"checkpoint": checkpoint.range, "artifact": artifact.range},
        parts=_parts(found),
        data_sha256=found.data_sha256,
    )


def _people(found: Comparison, limits: Limits) -> dict[str, float]:
    """Return the figures of networks that see everybody, and are sure of enough."""
    shares = zip(("lost_people", "invented_people"), found.people, strict=True)
    figures = {name: _rounded(share) for name, share in shares if share is not None}
    return figures | {"limit_people": limits.people} if figures else {}


def _maps(found: Comparison, limits: Limits) -> dict[str, float]:
    """Return the figures of graphs that do not decode."""
    if found.maps is None:
        return {}
    return {
        "map_correlation": _rounded(found.maps.correlation),
        "min_correlation": limits.min_correlation,
        "map_gain": _rounded(found.maps.gain),
        "max_gain": limits.max_gain,
        "map_offset": _rounded(found.maps.offset),
        "max_offset": limits.max_offset,
    }


def _figures(found: Comparison) -> dict[str, float]:
    """Return what has to be a number before anything can be said."""
    p95 = float(np.percentile(found.drift_px, 95)) if len(found.drift_px) else float("nan")
    figures = {
        "accuracy of the checkpoint": found.before.accuracy,
        "accuracy": found.after.accuracy,
        "drift": p95,
        "agreement": found.agreement,
        "difference of scores": found.scores.drift_p95,
    }
    figures |= {f"agreement of {name}": share for name, share in found.joint_agreement.items()}
    if found.maps is not None:
        figures |= {
            "correlation of maps": found.maps.correlation,
            "gain": found.maps.gain,
            "offset": found.maps.offset,
        }
    return figures


def worst_way(ways: Iterable[NDArray[np.bool_]]) -> float:
    """Return the lower share of finds that agree: of what was there, and of what was invented.

    Args:
        ways: per direction, whether each find of the one network is one of the other.

    Returns:
        In [0, 1]; NaN where neither network found anything.
    """
    shares = [float(way.mean()) for way in ways if len(way)]
    return min(shares, default=float("nan"))


def missing(way: NDArray[np.bool_]) -> float | None:
    """Return the share of one network's people whom the other has not; None of too few."""
    return 1 - float(way.mean()) if len(way) >= MIN_PEOPLE else None


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
    if not len(drift_px):  # fails by itself, see `_figures`
        return 0.0, 0.0
    p50, p95 = np.percentile(drift_px, [50, 95])
    return _rounded(p50), _rounded(p95)


def _drift(drift_px: FloatArray) -> Drift:
    p50, p95 = _percentiles(drift_px)
    return Drift(p50_px=p50, p95_px=p95)


def _rounded(value: float) -> float:
    """Three digits: enough to judge by, and the same on every run; 0 for what is no number."""
    return round(float(value), 3) if np.isfinite(value) else 0.0
