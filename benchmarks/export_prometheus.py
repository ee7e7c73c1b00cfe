"""The text exposition format 0.0.4 of Prometheus, for a monitor of many devices.

Written as a file for the textfile collector of node_exporter, every device reports its own
benchmark. Base units: seconds, watts, joules, bytes, ratios from 0 to 1.
https://prometheus.io/docs/instrumenting/exposition_formats/ and /docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.device_files import Named
from benchmarks.named_figures import STATISTICS, statistic_ms
from benchmarks.result import DeviceResult, FixedRate, Mode
from edge_pose.errors import UsageError

PREFIX = "edge_pose_bench_"
MEBIBYTE = 1024.0**2

# Metric -> help; all are gauges. The order is that of the text.
METRICS: dict[str, str] = {
    "info": "What was run and on what; always 1.",
    "timestamp_seconds": "When it was measured, seconds since 1970.",
    "valid": "1 where the result keeps the rules of its division, else 0.",
    "accuracy_ratio": "Accuracy of the artifact, from its gate report.",
    "artifact_size_bytes": "Size of the artifact's model.",
    "load_seconds": "Reading, checking and compiling the artifact.",
    "memory_bytes": "Largest resident set of the process.",
    "idle_power_watts": "Power before, the model loaded and waiting.",
    "frames_per_second": "Frames published per second.",
    "latency_seconds": "Time of a stage; end_to_end is capture to published.",
    "deadline_miss_ratio": "Frames of a camera without a result in time.",
    "cpu_cores": "Processor time of the process per second.",
    "power_watts": "Mean power; the label power tells a measurement from an estimate.",
    "frame_energy_joules": "Energy per frame, idle included.",
    "ae": "AE: accuracy in percent x frames per second / watts.",
}


@dataclass
class Samples:
    """Lines by metric; one metric's lines belong together."""

    lines: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in METRICS})

    def add(self, metric: str, labels: dict[str, str], value: float) -> None:
        """Add one sample."""
        text = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
        self.lines[metric].append(f"{PREFIX}{metric}{{{text}}} {value!r}")


def export(results: Sequence[Named]) -> str:
    """Return the means of all results.

    Raises:
        UsageError: two results have the same labels, so that one series would have two values.
    """
    samples, seen = Samples(), dict[tuple[str, ...], str]()
    for one in results:
        labels = _labels(one.result)
        key = tuple(labels.values())
        if key in seen:
            named = ", ".join(f'{name}="{value}"' for name, value in labels.items())
            message = f"{one.name}: has the same labels as {seen[key]}: {named}; export one of them"
            raise UsageError(message)
        seen[key] = one.name
        _add(samples, labels, one.result)
    return "".join(_family(name, lines) for name, lines in samples.lines.items() if lines)


def _family(name: str, lines: Sequence[str]) -> str:
    head = f"# HELP {PREFIX}{name} {METRICS[name]}\n# TYPE {PREFIX}{name} gauge\n"
    return head + "\n".join(lines) + "\n"


def _labels(result: DeviceResult) -> dict[str, str]:
    """Return what tells results apart; stable from one measurement to the next."""
    return {
        "profile": result.device.profile,
        "artifact": result.artifact.name,
        "format": result.artifact.format,
        "precision": result.artifact.precision,
        "backend": result.artifact.backend,
        "threads": str(result.setup.threads),
        "source": result.source.name,
    }


def _add(samples: Samples, labels: dict[str, str], result: DeviceResult) -> None:
    artifact, environment = result.artifact, result.environment
    facts = {
        "machine": environment.cpu_model or environment.machine,
        "sha256": artifact.sha256,
        "backend_version": artifact.backend_version,
        "version": environment.libraries.get("edge-pose", ""),
        "division": result.validity.division,
    }
    samples.add("info", {**labels, **facts}, 1.0)
    samples.add("timestamp_seconds", labels, result.created_at.timestamp())
    samples.add("valid", labels, float(result.validity.valid))
    if artifact.accuracy is not None:
        known = {"metric": artifact.accuracy.metric, "dataset": artifact.accuracy.dataset}
        samples.add("accuracy_ratio", {**labels, **known}, artifact.accuracy.percent / 100)
    samples.add("artifact_size_bytes", labels, float(artifact.size_bytes))
    samples.add("load_seconds", labels, result.warm_up.load_s)
    samples.add("memory_bytes", labels, result.machine.rss_mib * MEBIBYTE)
    how = {"power": result.meter.source, "meter": result.meter.name, "scope": result.meter.scope}
    if result.meter.idle_w is not None:
        samples.add("idle_power_watts", {**labels, **how}, result.meter.idle_w)
    for name, mode in result.modes.items():
        _add_mode(samples, {**labels, "mode": name}, how, mode)


def _add_mode(samples: Samples, labels: dict[str, str], how: dict[str, str], mode: Mode) -> None:
    samples.add("frames_per_second", labels, mode.fps.mean)
    for stage, statistic, value in _latencies(mode):
        both = {"stage": stage, "statistic": statistic}
        samples.add("latency_seconds", {**labels, **both}, value / 1e3)
    if isinstance(mode, FixedRate):
        samples.add("deadline_miss_ratio", labels, mode.miss_percent.mean / 100)
    samples.add("cpu_cores", labels, mode.cpu_percent.mean / 100)
    power = mode.power
    if not power.known:
        return
    samples.add("power_watts", {**labels, **how}, power.mean_w.mean)
    samples.add("frame_energy_joules", {**labels, **how}, power.joules_per_frame.mean)
    if power.accuracy_fps_per_watt is not None:
        samples.add("ae", {**labels, **how}, power.accuracy_fps_per_watt.mean)


def _latencies(mode: Mode) -> Iterator[tuple[str, str, float]]:
    for stage, latency in mode.latency.items():
        for statistic in STATISTICS:
            yield stage, statistic, statistic_ms(latency, statistic).mean


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
