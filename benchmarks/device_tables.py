"""A device result for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figure_text import LOST, interval_text, number
from benchmarks.named_figures import LATENCY_MODES, preferred
from benchmarks.result import DeviceResult, FixedRate
from benchmarks.tables import machine_text, plain_table, rates

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

TITLES = {
    "offline": "offline (throughput)",
    "single_stream": "single stream",
    "fixed_rate": "fixed rate",
}


def device_tables(result: DeviceResult) -> list[RenderableType]:
    """Return the tables of a device result."""
    tables = [_modes(result), _stages(result, preferred(result, LATENCY_MODES)[0])]
    if result.parts is not None:
        title = "network alone and what is around it, median (min to max)"
        tables.append(rates(title, result.parts.summary))
    if result.threads_sweep:
        tables.append(_threads(result))
    return [*tables, _facts(result)]


def _modes(result: DeviceResult) -> Table:
    table = plain_table(
        f"{result.artifact.name} on {result.source.name}: {result.source.frames} frames,"
        f" {result.setup.repeats} repeats, mean ± 95 % confidence",
        ("", *(_mode_title(result, name) for name in result.modes)),
    )
    modes = result.modes.values()
    table.add_row("FPS", *(interval_text(mode.fps) for mode in modes))
    for name in ("p50", "p90", "p95", "p99"):
        figures = (getattr(mode.latency["end_to_end"], f"{name}_ms") for mode in modes)
        table.add_row(f"end to end {name}, ms", *(interval_text(one) for one in figures))
    maxima = (number(mode.latency["end_to_end"].max_ms) for mode in modes)
    table.add_row("end to end max, ms", *maxima)
    if result.fixed_rate is not None:
        table.add_row("deadlines missed", *(_misses(mode) for mode in modes))
    table.add_row("CPU, % of one core", *(interval_text(mode.cpu_percent) for mode in modes))
    powers = [mode.power for mode in modes]
    watts = (interval_text(one.mean_w) if one.known else LOST for one in powers)
    table.add_row(f"W ({result.meter.source})", *watts)
    joules = (interval_text(one.joules_per_frame, 1e3) if one.known else LOST for one in powers)
    table.add_row("mJ per frame", *joules)
    if result.artifact.accuracy is not None:
        efficiency = ((one.known, one.accuracy_fps_per_watt) for one in powers)
        cells = (
            LOST if not known else "" if one is None else interval_text(one)
            for known, one in efficiency
        )
        table.add_row(f"accuracy × FPS / W ({result.meter.source} power)", *cells)
    return table


def _mode_title(result: DeviceResult, name: str) -> str:
    mode = result.modes[name]
    return f"{mode.rate_hz:g} FPS camera" if isinstance(mode, FixedRate) else TITLES[name]


def _misses(mode: object) -> str:
    if not isinstance(mode, FixedRate):
        return ""
    return f"{mode.deadline_misses} of {mode.offered} ({interval_text(mode.miss_percent)} %)"


def _stages(result: DeviceResult, name: str) -> Table:
    table = plain_table(f"stages, {TITLES[name]}, ms", ("", "p50", "p90", "p95", "p99", "max"))
    for stage, found in result.modes[name].latency.items():
        figures = (found.p50_ms, found.p90_ms, found.p95_ms, found.p99_ms)
        cells = (f"{one.mean:.2f}" for one in figures)
        table.add_row(stage.replace("_", " "), *cells, f"{found.max_ms:.2f}")
    return table


def _threads(result: DeviceResult) -> Table:
    table = plain_table("inference threads", ("threads", "network, ms", "pipeline, FPS"))
    for point in result.threads_sweep:
        table.add_row(str(point.threads), interval_text(point.network_ms), interval_text(point.fps))
    return table


def _facts(result: DeviceResult) -> Table:
    table = plain_table(None, ("", ""))
    artifact, meter, warm = result.artifact, result.meter, result.warm_up
    a = artifact.accuracy
    known = a and f"{a.percent:.1f} {a.metric} ({a.dataset}, n = {a.n_persons})"
    table.add_row("accuracy", known or "not known, so no AE: the artifact has no gate report")
    if result.parts is not None:
        summary = result.parts.summary
        met = "met" if summary.overhead_met else "MISSED"
        text = f"{summary.overhead.median:.2f}, target below {summary.overhead_target:g}: {met}"
        table.add_row("pipeline / network alone", text)
    error = f" ± {meter.uncertainty_w:.2f} W" if meter.uncertainty_w is not None else ""
    table.add_row("power", f"{meter.source}{error}, {meter.name}, {meter.scope}: {meter.detail}")
    if meter.idle_w is not None:
        table.add_row("idle before", f"{meter.idle_w:.2f} W over {meter.idle_s:.1f} s")
    steady = "steady" if warm.steady else "NOT steady"
    table.add_row("warm-up", f"{steady} after {warm.discarded_frames} frames")
    table.add_row("memory", f"{result.machine.rss_mib:.0f} MiB at most")
    if result.machine.after.temperatures_c:
        hottest = max(result.machine.after.temperatures_c.values())
        table.add_row("hottest sensor after", f"{hottest:.0f} °C")
    throttled = result.machine.throttled
    text = "unknown" if throttled is None else ", ".join(throttled) or "no"
    table.add_row("throttled", text)
    if result.detector is not None:
        table.add_row("people found by", result.detector.name)
    runtime = f"{artifact.backend} {artifact.backend_version} on {artifact.backend_device}"
    table.add_row("runtime", f"{runtime}, inference threads: {result.setup.threads}")
    table.add_row("machine", machine_text(result.environment))
    table.add_row("profile", result.device.profile)
    validity = result.validity
    text = "valid" if validity.valid else f"INVALID: {'; '.join(validity.reasons)}"
    table.add_row(f"{validity.division} division", text)
    return table
