"""What disturbed a measurement: one line for each thing, which every table and report repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.environment import Environment
from benchmarks.figure_text import mode_words
from benchmarks.figures import lost
from benchmarks.result import Device, Machine, Meter, Mode, WarmUp
from benchmarks.steady import CALM, drift
from benchmarks.validity import too_short
from edge_pose.power import PowerSummary


def disturbances(
    environment: Environment,
    device: Device,
    warm_up: WarmUp,
    machine: Machine,
    meter: Meter,
    modes: Mapping[str, Mode],
    powers: Sequence[PowerSummary],
) -> tuple[str, ...]:
    """Return one line for everything that may disturb the figures.

    Args:
        environment: as it was before anything was loaded.
        device: as its profile describes it.
        warm_up: what was discarded.
        machine: before and after.
        meter: how power was known.
        modes: what was measured, by name.
        powers: of all passes.
    """
    found = [*environment.warnings, *_unsteady(warm_up, modes)]
    if device.detected and device.profile not in device.detected:
        found.append(
            f"profile {device.profile} was named, this machine looks like {device.detected[0]}:"
            " what the profile says of the device, watts above all, need not hold"
        )
    if machine.throttled:
        found.append(f"clocks were held back: {', '.join(machine.throttled)}")
    gone = [f"power meter {power.meter}: {why}" for power in powers if (why := lost(power))]
    found += dict.fromkeys(gone)
    found += [f"power of {line}" for line in too_short(meter, modes)]
    if any(power.clock_step_s for power in powers):
        found.append("the wall clock was set meanwhile; durations come from the monotonic one")
    if meter.source == "estimated":
        found.append("power is estimated: AE and joules compare on this machine only")
    return tuple(found)


def _unsteady(warm_up: WarmUp, modes: Mapping[str, Mode]) -> Iterator[str]:
    if not warm_up.discarded_frames:
        yield "no frames were discarded: the figures hold the machine's warm-up"
    elif not warm_up.steady:
        many = (
            f"the same {warm_up.window} frames still change from pass to pass by more than"
            f" {warm_up.tolerance:.0%}"
        )
        few = f"fewer than {CALM + 1} passes over {warm_up.window} frames tell nothing"
        yield (
            f"not steady after {warm_up.discarded_frames} frames of warm-up:"
            f" {few if len(warm_up.medians_ms) <= CALM else many}"
        )
    for name, mode in modes.items():
        change = drift(mode.latency["end_to_end"].p50_ms.values)
        if change is not None:
            why = "it heats up, or is held back" if change > 0 else "it was not warm yet"
            yield (
                f"not steady: from the first repeat to the last the median latency"
                f" {'rose' if change > 0 else 'fell'} by {abs(change):.0%} ({mode_words(name)}):"
                f" {why}"
            )
