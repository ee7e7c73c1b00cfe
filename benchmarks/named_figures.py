"""Every figure of a device result under the name that conditions, tables and exports use.

A name is MODE.FIGURE, for example `single_stream.latency_p95`, or one word for what belongs to no
mode, for example `accuracy`. The short name without its mode is the same figure in the first mode
there is of those where it means most: latency in a single stream, FPS and power offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.interval import Interval, interval
from benchmarks.likeness import Aspect
from benchmarks.result import DeviceResult, FixedRate, Latency, Mode, Parts

Better: TypeAlias = Literal["lower", "higher"]

STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
END_TO_END = "end_to_end"
LATENCY_MODES = ("single_stream", "fixed_rate", "offline")
OTHER_MODES = ("offline", "single_stream", "fixed_rate")
SPEED: tuple[Aspect, ...] = ("speed",)
POWER: tuple[Aspect, ...] = ("speed", "power")
EVERYTHING: tuple[Aspect, ...] = ("accuracy", "speed", "power")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a result.

    Attributes:
        name: with its mode, unique within a result.
        unit: of the values; "" for a ratio.
        better: which direction is an improvement.
        needs: what two results must have in common for this figure to be comparable.
        value: over the repeats; one value alone has no confidence interval.
        exact: it would be the same if everything were measured again.
    """

    name: str
    unit: str
    better: Better
    needs: tuple[Aspect, ...]
    value: Interval
    exact: bool = False

    @property
    def mode(self) -> str:
        """The part of the name before the dot; "" where there is none."""
        return self.name.rpartition(".")[0]

    @property
    def short_name(self) -> str:
        """The name without its mode."""
        return self.name.rpartition(".")[2]

    @property
    def is_latency(self) -> bool:
        """True for the time that a stage or everything together takes."""
        return self.short_name.rpartition("_")[2] in STATISTICS


def named_figures(result: DeviceResult) -> dict[str, Figure]:
    """Return every figure by its full name, in the order in which they are shown."""
    found = [
        *_of_the_artifact(result),
        *(figure for name, mode in result.modes.items() for figure in _of_a_mode(name, mode)),
        *_of_the_sweep(result),
        *(() if result.parts is None else _of_the_parts(result.parts)),
        *_of_the_machine(result),
    ]
    return {figure.name: figure for figure in found}


def short_names(figures: Mapping[str, Figure]) -> dict[str, str]:
    """Return the full name for each short name."""
    found: dict[str, str] = {}
    for short in dict.fromkeys(figure.short_name for figure in figures.values()):
        if short in figures:
            found[short] = short
            continue
        same = [figure for figure in figures.values() if figure.short_name == short]
        order = LATENCY_MODES if same[0].is_latency else OTHER_MODES
        known = [figure for figure in same if figure.mode in order]
        if known:
            found[short] = min(known, key=lambda figure: order.index(figure.mode)).name
    return found


def preferred(result: DeviceResult, modes: Iterable[str]) -> tuple[str, Mode]:
    """Return the first of the modes that was measured: LATENCY_MODES or OTHER_MODES."""
    measured = result.modes
    return next((name, measured[name]) for name in modes if name in measured)


def _of_the_artifact(result: DeviceResult) -> Iterator[Figure]:
    artifact = result.artifact
    if artifact.accuracy is not None:
        percent = once(artifact.accuracy.percent)
        yield Figure("accuracy", "%", "higher", ("accuracy",), percent, exact=True)
    yield Figure("size", "B", "lower", (), once(artifact.size_bytes), exact=True)
    yield Figure("macs", "", "lower", (), once(artifact.macs), exact=True)


def _of_a_mode(name: str, mode: Mode) -> Iterator[Figure]:
    yield Figure(f"{name}.fps", "FPS", "higher", SPEED, mode.fps)
    stages = sorted(mode.latency, key=lambda stage: stage != END_TO_END)
    for stage in stages:
        label = "latency" if stage == END_TO_END else stage
        for statistic in STATISTICS:
            value = statistic_ms(mode.latency[stage], statistic)
            yield Figure(f"{name}.{label}_{statistic}", "ms", "lower", SPEED, value)
    if isinstance(mode, FixedRate):
        yield Figure(f"{name}.misses", "%", "lower", SPEED, mode.miss_percent)
    yield Figure(f"{name}.cpu", "%", "lower", SPEED, mode.cpu_percent)
    power = mode.power
    if not power.known:
        return
    yield Figure(f"{name}.power", "W", "lower", POWER, power.mean_w)
    yield Figure(f"{name}.energy", "J", "lower", POWER, power.joules_per_frame)
    if power.above_idle_joules_per_frame is not None:
        # The idle baseline is measured once: the repeats share its error and do not show it.
        above = once(power.above_idle_joules_per_frame.mean)
        yield Figure(f"{name}.energy_above_idle", "J", "lower", POWER, above)
    if power.accuracy_fps_per_watt is not None:
        yield Figure(f"{name}.ae", "", "higher", EVERYTHING, power.accuracy_fps_per_watt)


def _of_the_sweep(result: DeviceResult) -> Iterator[Figure]:
    for point in result.threads_sweep:
        mode = f"threads_{point.threads}"
        yield Figure(f"{mode}.fps", "FPS", "higher", SPEED, point.fps)
        yield Figure(f"{mode}.network", "ms", "lower", SPEED, point.network_ms)


def _of_the_parts(parts: Parts) -> Iterator[Figure]:
    for part in ("bare", "estimator", "read_clip", "pipeline"):
        values = interval(getattr(one, part).ms_per_frame for one in parts.rounds)
        yield Figure(f"parts.{part}", "ms", "lower", SPEED, values)
    overhead = interval(one.overhead for one in parts.rounds)
    yield Figure("parts.overhead", "", "lower", SPEED, overhead)


def _of_the_machine(result: DeviceResult) -> Iterator[Figure]:
    yield Figure("load", "s", "lower", SPEED, once(result.warm_up.load_s))
    yield Figure("memory", "MiB", "lower", SPEED, once(result.machine.rss_mib))
    if result.meter.idle_w is not None:
        yield Figure("idle_power", "W", "lower", ("power",), once(result.meter.idle_w))


def statistic_ms(latency: Latency, statistic: str) -> Interval:
    """Return one of STATISTICS."""
    value = getattr(latency, f"{statistic}_ms")
    return value if isinstance(value, Interval) else once(value)


def once(value: float) -> Interval:
    """Return what was measured a single time."""
    return interval([float(value)])
