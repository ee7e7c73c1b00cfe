"""Whether a result keeps the rules of its division.

As in MLPerf ("MLPerf Inference Benchmark", Reddi et al., ISCA 2020): in the open division anything
may be measured; in the closed one a result counts only if the accuracy is at least a given one, and
if it was measured as the rules say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.plan import Plan
from benchmarks.result import Artifact, Machine, Meter, Mode, Validity, WarmUp

MIN_UPDATES = 3  # of the meter within a repeat; fewer say little of it


def judge(
    plan: Plan,
    artifact: Artifact,
    meter: Meter,
    machine: Machine,
    warm_up: WarmUp,
    modes: Mapping[str, Mode],
) -> Validity:
    """Return whether the result is valid, with every reason against it."""
    reasons: list[str] = []
    if plan.closed:
        reasons += _accuracy(artifact, plan.min_accuracy or 0.0)
        reasons += _power(meter, modes, measured=plan.measured_power)
        if machine.throttled:
            reasons.append(f"clocks were held back: {', '.join(machine.throttled)}")
        if not warm_up.steady:
            reasons.append(f"not steady after {warm_up.discarded_frames} frames of warm-up")
    return Validity(
        division="closed" if plan.closed else "open",
        min_accuracy=plan.min_accuracy,
        measured_power=plan.measured_power,
        valid=not reasons,
        reasons=tuple(reasons),
    )


def _accuracy(artifact: Artifact, wanted: float) -> Iterator[str]:
    found = artifact.accuracy
    if found is None:
        yield "accuracy: the artifact has no gate report"
    elif found.percent < wanted:
        yield (
            f"accuracy: {found.percent:.1f} {found.metric} on {found.dataset}"
            f" (n = {found.n_persons}) is below {wanted:g}"
        )
    if artifact.gate_passed is False:
        yield "accuracy: the artifact failed its gate"


def _power(meter: Meter, modes: Mapping[str, Mode], *, measured: bool) -> Iterator[str]:
    if measured and meter.source != "measured":
        yield f"power: estimated ({meter.detail}), measured power was demanded"
    for name, mode in modes.items():
        if mode.power.lost is not None:
            yield f"power: {name}: the meter was {mode.power.lost}"
    yield from (f"power: {line}" for line in too_short(meter, modes))


def too_short(meter: Meter, modes: Mapping[str, Mode]) -> Iterator[str]:
    """Yield a line for each mode that the meter saw too little of."""
    for name, mode in modes.items():
        window_s, least_s = mode.power.window_s, MIN_UPDATES * (meter.update_s or 0.0)
        if mode.power.known and window_s is not None and window_s < least_s:
            yield (
                f"{name}: a repeat lasted {window_s:.2g} s, {meter.name} has a new value every"
                f" {meter.update_s:.2g} s: give a longer clip or --min-seconds"
            )
