"""Whether the figures of a device result can be: each with what it is computed from, and in bounds.

The models of benchmarks.result check that AE and energy follow from watts and FPS. Here is what
more a result must keep before it is shown to others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

from benchmarks.facts import accuracy as known_accuracy
from benchmarks.interval import Interval, interval
from benchmarks.parts import summarize
from benchmarks.report import Table
from benchmarks.result import DeviceResult, FixedRate, Mode
from benchmarks.run_report import Accuracy
from edge_pose.artifact import read_manifest
from edge_pose.models import shipped
from edge_pose.power import PowerSummary

MIN_REPEATS = 3
MIN_FRAMES = 100
MAX_FPS = 10_000.0
POWER_W = (0.05, 3000.0)  # from a microcontroller to a server full of cards
TEMPERATURES_C = (-40.0, 150.0)
MAX_CLOCK_MHZ = 10_000.0
SLACK = 1.05  # of times that are measured apart
CLOCK_AHEAD = timedelta(days=1)  # of a sender whose clock is not set quite right
FIRST = datetime.fromisoformat("2026-01-01T00:00:00+00:00")  # before there was edge_pose


def implausible(result: DeviceResult, now: datetime) -> list[str]:
    """Return one line for each figure that cannot be.

    Args:
        result: to look at.
        now: the time, with its zone.
    """
    return [
        *_time(result.created_at, now),
        *_enough(result),
        *_artifact(result),
        *(line for name, mode in result.modes.items() for line in _mode(name, mode, result)),
        *_intervals(result, "", result.setup.repeats),
        *_parts(result),
        *_machine(result),
    ]


def _time(created_at: datetime, now: datetime) -> Iterator[str]:
    if created_at.tzinfo is None:
        yield "created_at: no time zone"
    elif not FIRST <= created_at <= now + CLOCK_AHEAD:
        yield f"created_at: {created_at:%Y-%m-%d} cannot be, is the device's clock set?"


def _enough(result: DeviceResult) -> Iterator[str]:
    if result.setup.repeats < MIN_REPEATS:
        yield f"setup.repeats: {result.setup.repeats}, at least {MIN_REPEATS} tell how sure it is"
    if result.source.frames < MIN_FRAMES:
        yield f"source.frames: {result.source.frames}, at least {MIN_FRAMES} are needed"


def _artifact(result: DeviceResult) -> Iterator[str]:
    artifact, accuracy = result.artifact, result.artifact.accuracy
    if accuracy is not None and not 0 <= accuracy.percent <= 100:
        yield f"artifact.accuracy.percent: {accuracy.percent:g}, expected 0 to 100"
    manifest = {m.file.sha256: m for m in map(read_manifest, shipped().values())}.get(
        artifact.sha256
    )
    if manifest is None:
        return
    own = known_accuracy(manifest)
    if accuracy != own:
        yield (
            f"artifact.accuracy: {_words(accuracy)}, this file's own gate report has {_words(own)}"
        )
    if (artifact.params, artifact.macs) != (manifest.origin.params, manifest.origin.macs):
        yield "artifact.params, artifact.macs: are not those of this file"


def _words(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "none"
    where = f"{accuracy.dataset}, n = {accuracy.n_persons}"
    return f"{accuracy.percent:g} {accuracy.metric} on {where}"


def _mode(name: str, mode: Mode, result: DeviceResult) -> Iterator[str]:
    if not 0 < mode.fps.mean <= MAX_FPS:
        yield f"{name}.fps: {mode.fps.mean:g}, expected up to {MAX_FPS:g}"
    if mode.frames_with_people > mode.frames:
        yield f"{name}.frames_with_people: {mode.frames_with_people} of {mode.frames}"
    if not mode.frames == sum(mode.histogram.counts) == mode.latency["end_to_end"].frames:
        yield f"{name}.frames: {mode.frames}, the histogram or the latency has another number"
    cores = result.environment.cores
    if not 0 <= mode.cpu_percent.mean <= 100 * cores * SLACK:
        yield f"{name}.cpu_percent: {mode.cpu_percent.mean:.0f} on {cores} cores"
    watts = mode.power.mean_w.mean
    if mode.power.lost is None and not POWER_W[0] <= watts <= POWER_W[1]:
        yield f"{name}.power.mean_w: {watts:g}, expected {POWER_W[0]:g} to {POWER_W[1]:g}"
    yield from _busy(name, mode)
    if isinstance(mode, FixedRate):
        yield from _camera(name, mode)


def _busy(name: str, mode: Mode) -> Iterator[str]:
    """A stage is done by one thread, and nothing overlaps in a single stream."""
    for stage, found in mode.latency.items():
        if stage == "end_to_end" and name != "single_stream":
            continue
        share = found.mean_ms.mean / 1e3 * mode.fps.mean * found.frames / mode.frames
        # Of repeats of unlike speed the product of means is not the mean of products.
        spread = max(mode.fps.values) / min(mode.fps.values) if min(mode.fps.values) > 0 else 1.0
        if share > SLACK * spread:
            yield f"{name}.latency.{stage}: {share:.0%} of the time is spent in it at this FPS"


def _camera(name: str, mode: FixedRate) -> Iterator[str]:
    if mode.frames + mode.skipped != mode.offered or mode.late > mode.frames:
        yield f"{name}: {mode.offered} offered, {mode.frames} taken, {mode.skipped} skipped"
    if mode.fps.mean > mode.rate_hz * SLACK:
        yield f"{name}.fps: {mode.fps.mean:.4g} of a camera with {mode.rate_hz:g}"


def _intervals(value: object, where: str, repeats: int) -> Iterator[str]:
    """Every mean and confidence interval again from its repeats."""
    if isinstance(value, Interval):
        if len(value.values) > repeats:
            yield f"{where}: {len(value.values)} values of {repeats} repeats"
        again = interval(value.values)
        pairs = ((value.mean, again.mean), (value.low, again.low), (value.high, again.high))
        if not all(_same(found, expected) for found, expected in pairs):
            yield f"{where}: does not follow from its values, whose mean is {again.mean:.6g}"
    elif isinstance(value, Table):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            yield from _intervals(inner, f"{where}.{name}" if where else name, repeats)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _intervals(inner, f"{where}.{name}", repeats)
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _intervals(inner, f"{where}.{number}", repeats)


def _parts(result: DeviceResult) -> Iterator[str]:
    if result.parts is None:
        return
    found = result.parts.summary
    # What it takes of the meter's own summary is repeated in ours.
    powers = cast("Sequence[PowerSummary]", [found.power])
    again = summarize(result.parts.rounds, powers).model_copy(
        update={"overhead_target": found.overhead_target, "overhead_met": found.overhead_met}
    )
    if again != found:
        yield "parts.summary: does not follow from the rounds"
    speeds = [one.pipeline.fps for one in result.parts.rounds]
    offline = result.offline
    if offline is None or not all(map(_same, speeds, offline.fps.values)):
        yield "parts.rounds: are not those of the mode offline"


def _machine(result: DeviceResult) -> Iterator[str]:
    for name in ("before", "after"):
        state = getattr(result.machine, name)
        low, high = TEMPERATURES_C
        for zone, celsius in state.temperatures_c.items():
            if not low <= celsius <= high:
                yield f"machine.{name}.temperatures_c: {zone} {celsius:g}"
        for domain, clock in state.clocks_mhz.items():
            if not 0 <= clock <= MAX_CLOCK_MHZ:
                yield f"machine.{name}.clocks_mhz: {domain} {clock:g}"


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
