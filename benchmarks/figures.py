"""From the passes of one mode to its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.interval import Interval, interval
from benchmarks.passes import Pass
from benchmarks.result import FixedRate, Histogram, Latency, Mode, ModePower, PowerSeries
from edge_pose.power import PowerSummary

BINS = 40
TAIL = 99.0  # percentile above which the last bin begins: a few slow frames must not squeeze it
MAX_POINTS = 300


def mode_figures(passes: Sequence[Pass], accuracy_percent: float | None) -> Mode:
    """Return what one mode came to.

    Args:
        passes: of its repeats, in order; at least one.
        accuracy_percent: of the artifact; None where it is not known.
    """
    return Mode(**_common(passes, accuracy_percent))


def fixed_rate_figures(
    passes: Sequence[Pass], accuracy_percent: float | None, rate_hz: float
) -> FixedRate:
    """Return the same for the passes of a camera, with its deadlines."""
    missed = interval(100.0 * (p.skipped + p.late) / p.offered for p in passes)
    return FixedRate(
        **_common(passes, accuracy_percent),
        rate_hz=rate_hz,
        offered=sum(p.offered for p in passes),
        skipped=sum(p.skipped for p in passes),
        late=sum(p.late for p in passes),
        miss_percent=missed,
    )


def _common(passes: Sequence[Pass], accuracy_percent: float | None) -> dict[str, object]:
    """Return the fields that all modes have."""
    latencies_s = np.concatenate([p.durations_s["end_to_end"] for p in passes])
    return {
        "frames": sum(p.frames for p in passes),
        "fps": interval(p.fps for p in passes),
        "latency": {stage: _latency(passes, stage) for stage in _stages(passes)},
        "histogram": histogram(latencies_s * 1e3),
        "frames_with_people": sum(p.frames_with_people for p in passes),
        "cpu_percent": interval(100.0 * p.cpu_s / p.duration_s for p in passes),
        "power": _power(passes, accuracy_percent),
    }


def _stages(passes: Sequence[Pass]) -> tuple[str, ...]:
    """Return every stage; some, as detection, do not take place in every frame or pass."""
    return tuple(dict.fromkeys(stage for p in passes for stage in p.durations_s))


def _latency(passes: Sequence[Pass], stage: str) -> Latency:
    repeats = [p.durations_s[stage] * 1e3 for p in passes if stage in p.durations_s]

    def over(figure: Callable[[np.ndarray], float]) -> Interval:
        return interval(float(figure(values)) for values in repeats)

    return Latency(
        frames=sum(len(values) for values in repeats),
        mean_ms=over(np.mean),
        p50_ms=over(lambda values: np.percentile(values, 50)),
        p90_ms=over(lambda values: np.percentile(values, 90)),
        p95_ms=over(lambda values: np.percentile(values, 95)),
        p99_ms=over(lambda values: np.percentile(values, 99)),
        max_ms=max(float(values.max()) for values in repeats),
    )


def histogram(values_ms: np.ndarray) -> Histogram:
    """Count values in bins of equal width up to their 99th percentile, the rest in one more."""
    low, high = float(values_ms.min()), float(np.percentile(values_ms, TAIL))
    edges = np.linspace(low, max(high, low + 1e-3), BINS)
    edges = np.append(edges, max(float(values_ms.max()), edges[-1] + 1e-3))
    counts, _ = np.histogram(values_ms, edges)
    return Histogram(
        edges_ms=tuple(round(float(edge), 4) for edge in edges),
        counts=tuple(int(count) for count in counts),
    )


def _power(passes: Sequence[Pass], accuracy_percent: float | None) -> ModePower:
    metered = [p for p in passes if p.metered]
    shown = metered or passes  # zeros, marked as lost
    above = [
        p.power.above_idle_w * p.duration_s / p.frames
        for p in metered
        if p.power.above_idle_w is not None
    ]
    efficiency = [
        None if accuracy_percent is None else p.efficiency(accuracy_percent) for p in passes
    ]
    known = [value for value in efficiency if value is not None]
    gone = next((found for p in passes if (found := lost(p.power))), None)
    rails = metered[0].power.rails_w if metered else {}
    return ModePower(
        mean_w=interval(p.power.mean_w for p in shown),
        joules_per_frame=interval(p.joules_per_frame for p in shown),
        above_idle_joules_per_frame=interval(above) if above else None,
        accuracy_fps_per_watt=interval(known) if len(known) == len(passes) and not gone else None,
        rails_w={
            name: float(np.mean([p.power.rails_w.get(name, 0.0) for p in metered]))
            for name in rails
        },
        samples=sum(p.power.samples for p in passes),
        window_s=min(p.power.duration_s for p in shown),
        lost=gone,
        series=_series(passes),
    )


def lost(power: PowerSummary) -> str | None:
    """Return why and when a meter was lost in the middle; None where it was there to the end."""
    return None if power.lost is None else f"lost {power.lost}"


def _series(passes: Sequence[Pass]) -> PowerSeries:
    points = [
        (p.started_s - passes[0].started_s + time_s, power_w)
        for p in passes
        for time_s, power_w in p.trace
    ]
    points = points[:: max(-(-len(points) // MAX_POINTS), 1)]
    return PowerSeries(
        time_s=tuple(round(time_s, 3) for time_s, _ in points),
        power_w=tuple(round(power_w, 4) for _, power_w in points),
    )
