"""Which limits were missed, in words. What is no number misses every limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from converters.gates.base import Limits
from converters.gates.maps import off_by
from converters.gates.watch import Watch
from edge_pose.manifest import Gate

ROUNDING_PX = 1e-2  # of float32 positions
ROUNDING_POINTS = 1e-9


def faults(artifact: Watch) -> Iterable[str]:
    """Say what is wrong with an artifact whose outputs mean nothing."""
    if artifact.broken:
        pictures = f"{artifact.broken} of {artifact.inputs} pictures"
        yield f"outputs are not numbers on {pictures}"
    if not artifact.low < artifact.high:
        yield f"all outputs are {artifact.low:g}"


def unmeasured(figures: Mapping[str, float]) -> Iterable[str]:
    """Name the figures that are no numbers: there was nothing to measure them on."""
    for name, value in figures.items():
        if not math.isfinite(value):
            yield f"{name} could not be measured"


def missed(gate: Gate, limits: Limits) -> Iterable[str]:
    """Compare the figures of a report with the limits."""
    points = gate.checkpoint_accuracy - gate.artifact_accuracy
    if not points <= limits.points + ROUNDING_POINTS:
        yield f"accuracy falls by {points:.3f} points, {limits.points:g} pass"
    for name, drift_px, limit_px in (
        ("p50", gate.drift_p50_px, gate.limit_median_px),
        ("p95", gate.drift_p95_px, gate.limit_drift_px),
    ):
        if limit_px is None or not drift_px <= limit_px + ROUNDING_PX:
            yield f"drift {name} is {drift_px:.2f} px, {limit_px:g} pass"
    if not gate.argmax_agreement >= limits.min_agreement:
        share = gate.argmax_agreement
        yield f"{share:.1%} within one heatmap px, {limits.min_agreement:.0%} pass"
    yield from _lost_joints(gate, limits)
    yield from _other_people(gate, limits)
    yield from _other_scores(gate, limits)
    yield from _other_maps(gate, limits)


def _lost_joints(gate: Gate, limits: Limits) -> Iterable[str]:
    lost = {n: s for n, s in gate.joint_agreement.items() if not s >= limits.min_joint_agreement}
    if lost:
        name = min(lost, key=lambda n: lost[n])
        others = len(lost) - 1
        more = f" and {others} more keypoint{'s' * (others > 1)}" if others else ""
        yield (
            f"{name}{more}: {lost[name]:.1%} within one heatmap px,"
            f" {limits.min_joint_agreement:.0%} pass"
        )


def _other_people(gate: Gate, limits: Limits) -> Iterable[str]:
    for share, what in (
        (gate.lost_people, "of the people are lost"),
        (gate.invented_people, "of the people found are not the checkpoint's"),
    ):
        if share is not None and not share <= limits.people:
            yield f"{share:.1%} {what}, {limits.people:.0%} pass"


def _other_scores(gate: Gate, limits: Limits) -> Iterable[str]:
    drift, side = gate.score_drift_p95, gate.same_side
    if drift is not None and not drift <= limits.score_drift:
        yield f"scores differ by {drift:.3f} (p95), {limits.score_drift:g} pass"
    if side is not None and not side >= limits.min_same_side:
        yield (
            f"{side:.1%} of the scores on the same side of what a device shows,"
            f" {limits.min_same_side:.0%} pass"
        )


def _other_maps(gate: Gate, limits: Limits) -> Iterable[str]:
    correlation, gain, offset = gate.map_correlation, gate.map_gain, gate.map_offset
    if correlation is not None and not correlation >= limits.min_correlation:
        yield f"maps correlate by {correlation:.3f}, {limits.min_correlation:g} passes"
    if gain is not None and not off_by(gain) <= limits.max_gain:
        yield f"maps are {gain:.4g} times the checkpoint's, {limits.max_gain:g} passes"
    if offset is not None and not offset <= limits.max_offset:
        yield f"maps are shifted by {offset:.3g} of their spread, {limits.max_offset:g} passes"
