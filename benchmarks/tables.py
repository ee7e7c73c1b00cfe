"""Reports for a terminal."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.report import Report, Spread
from edge_pose.lookup import lookup

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from benchmarks.cold_start import ColdStartReport
    from benchmarks.environment import Environment
    from benchmarks.mediapipe_peer import MediapipeReport
    from benchmarks.run_report import RunReport, Summary

# Kind -> module:function, imported on use.
TABLES: dict[str, str] = {
    "cold_start": "benchmarks.tables:cold_start_tables",
    "device": "benchmarks.device_tables:device_tables",
    "fleet": "benchmarks.fleet.tables:fleet_tables",
    "mediapipe": "benchmarks.tables:mediapipe_tables",
    "peers": "benchmarks.peers_tables:peers_tables",
    "run": "benchmarks.tables:run_tables",
    "scaling": "benchmarks.scaling_tables:scaling_tables",
}
MEASUREMENTS = {
    "bare": "network alone",
    "estimator": "estimator on ready frames",
    "read_clip": "reading the clip alone",
    "pipeline": "whole pipeline",
}


def tables(report: Report) -> list[RenderableType]:
    """Return what to print for a report of any kind.

    Raises:
        UsageError: this kind has no table.
    """
    module, _, name = lookup(TABLES, report.kind, "table of kind").partition(":")
    make: Callable[[Any], list[RenderableType]] = getattr(importlib.import_module(module), name)
    return make(report)


def run_tables(report: RunReport) -> list[RenderableType]:
    """Return the tables of a `run` report of schema 1."""
    title = (
        f"{report.artifact.name} on {report.clip.name}: {report.clip.frames} frames,"
        f" {report.settings.rounds} rounds, median (min to max)"
    )
    return [rates(title, report.summary), _stages(report), _facts(report)]


def rates(title: str, summary: Summary) -> Table:
    """Return the parts beside the whole."""
    table = plain_table(title, ("", "ms per frame", "FPS"))
    for name, title in MEASUREMENTS.items():
        rate = getattr(summary, name)
        table.add_row(title, spread_text(rate.ms_per_frame, 2), spread_text(rate.fps, 1))
    return table


def _stages(report: RunReport) -> Table:
    table = plain_table("stages of the pipeline, ms", ("", "p50", "p95", "p99"))
    for stage, values in report.summary.stages_ms.items():
        row = (spread_text(values[name], 2) for name in ("p50", "p95", "p99"))
        table.add_row(stage.replace("_", " "), *row)
    return table


def _facts(report: RunReport) -> Table:
    summary, power = report.summary, report.summary.power
    table = plain_table(None, ("", ""))
    target = _target(f"below {summary.overhead_target:g}", met=summary.overhead_met)
    table.add_row("pipeline / network alone", f"{spread_text(summary.overhead, 2)}, {target}")
    people = spread_text(summary.frames_with_people, 0)
    table.add_row("frames with a person", f"{people} of {summary.frames}")
    table.add_row("power", f"{spread_text(power.watts, 2)} W ({power.source}: {power.detail})")
    joules = power.joules_per_frame
    millijoules = Spread(median=joules.median * 1e3, min=joules.min * 1e3, max=joules.max * 1e3)
    table.add_row("energy per frame", f"{spread_text(millijoules, 1)} mJ ({power.source})")
    if report.artifact.accuracy is not None:
        a = report.artifact.accuracy
        text = f"{a.percent:.1f} {a.metric} ({a.dataset}, n = {a.n_persons})"
        table.add_row("accuracy", text)
    if summary.accuracy_fps_per_watt is not None:
        text = f"{spread_text(summary.accuracy_fps_per_watt, 0)} (power {power.source})"
        table.add_row("accuracy × FPS / W", text)
    table.add_row("machine", machine_text(report.environment))
    return table


def cold_start_tables(report: ColdStartReport) -> list[RenderableType]:
    """Return the table of a cold start."""
    summary = report.summary
    title = f"process start to first pose, {len(report.rounds)} rounds, median (min to max)"
    table = plain_table(title, ("", "s"))
    table.add_row("start of the interpreter", spread_text(summary.interpreter_s, 3))
    table.add_row("imports", spread_text(summary.imports_s, 3))
    table.add_row("load of runtime and model", spread_text(summary.model_load_s, 3))
    table.add_row("first pose", spread_text(summary.first_pose_s, 3))
    target = _target(f"below {summary.target_s:g}", met=summary.target_met)
    table.add_row("together", f"{spread_text(summary.total_s, 3)}, {target}")
    table.add_row("machine", machine_text(report.environment))
    return [table]


def mediapipe_tables(report: MediapipeReport) -> list[RenderableType]:
    """Return the table of ours beside MediaPipe."""
    summary = report.summary
    title = f"{summary.frames} frames, {len(report.rounds)} rounds, median (min to max)"
    table = plain_table(title, ("", "FPS, reading included", "frames with a person"))
    table.add_row(
        "edge_pose",
        spread_text(summary.edge_pose_fps, 1),
        spread_text(summary.edge_pose_frames_with_people, 0),
    )
    table.add_row(
        f"MediaPipe Pose {report.peer_versions.get('mediapipe', '')}",
        spread_text(summary.mediapipe_fps, 1),
        spread_text(summary.mediapipe_frames_with_people, 0),
    )
    target = _target(f"at least {summary.target_ratio:g}", met=summary.target_met)
    table.add_row("ratio", f"{spread_text(summary.ratio, 2)}, {target}", "")
    table.add_row("machine", machine_text(report.environment), "")
    return [table]


def plain_table(title: str | None, columns: tuple[str, ...]) -> Table:
    """Return an empty table; without a header where no column has a name."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, style="bold" if number == 0 else None)
    return table


def spread_text(value: Spread, decimals: int) -> str:
    """Return median (min to max)."""
    return (
        f"{value.median:.{decimals}f} ({value.min:.{decimals}f} to {value.max:.{decimals}f})"
        if value.min != value.max
        else f"{value.median:.{decimals}f}"
    )


def _target(text: str, *, met: bool) -> str:
    return f"target {text}: {'met' if met else 'MISSED'}"


def machine_text(environment: Environment) -> str:
    """Return the machine in a few words."""
    model = environment.cpu_model or environment.machine
    return f"{model}, {environment.cores_available} cores, Python {environment.python}"
