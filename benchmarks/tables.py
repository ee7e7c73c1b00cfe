"""Reports for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.report import Report, Spread

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from benchmarks.cold_start import ColdStartReport
    from benchmarks.environment import Environment
    from benchmarks.mediapipe_peer import MediapipeReport
    from benchmarks.run_report import RunReport

MEASUREMENTS = {
    "bare": "network alone",
    "estimator": "estimator on ready frames",
    "read_clip": "reading the clip alone",
    "pipeline": "whole pipeline",
}


def tables(report: Report) -> list[RenderableType]:
    """Return what to print for a report of any kind.

    Raises:
        TypeError: a kind that has no table.
    """
    from benchmarks.cold_start import ColdStartReport
    from benchmarks.mediapipe_peer import MediapipeReport
    from benchmarks.run_report import RunReport

    if isinstance(report, RunReport):
        return [_rates(report), _stages(report), _facts(report)]
    if isinstance(report, ColdStartReport):
        return [_cold_start(report)]
    if isinstance(report, MediapipeReport):
        return [_mediapipe(report)]
    raise TypeError(f"no table for {type(report).__name__}")


def _rates(report: RunReport) -> Table:
    table = _table(
        f"{report.artifact.name} on {report.clip.name}: {report.clip.frames} frames,"
        f" {report.settings.rounds} rounds, median (min to max)",
        ("", "ms per frame", "FPS"),
    )
    for name, title in MEASUREMENTS.items():
        rate = getattr(report.summary, name)
        table.add_row(title, _figure(rate.ms_per_frame, 2), _figure(rate.fps, 1))
    return table


def _stages(report: RunReport) -> Table:
    table = _table("stages of the pipeline, ms", ("", "p50", "p95", "p99"))
    for stage, values in report.summary.stages_ms.items():
        row = (_figure(values[name], 2) for name in ("p50", "p95", "p99"))
        table.add_row(stage.replace("_", " "), *row)
    return table


def _facts(report: RunReport) -> Table:
    summary, power = report.summary, report.summary.power
    table = _table(None, ("", ""))
    target = _target(f"below {summary.overhead_target:g}", met=summary.overhead_met)
    table.add_row("pipeline / network alone", f"{_figure(summary.overhead, 2)}, {target}")
    people = _figure(summary.frames_with_people, 0)
    table.add_row("frames with a person", f"{people} of {summary.frames}")
    table.add_row("power", f"{_figure(power.watts, 2)} W ({power.source}: {power.detail})")
    joules = power.joules_per_frame
    millijoules = Spread(median=joules.median * 1e3, min=joules.min * 1e3, max=joules.max * 1e3)
    table.add_row("energy per frame", f"{_figure(millijoules, 1)} mJ ({power.source})")
    if report.artifact.accuracy is not None:
        a = report.artifact.accuracy
        text = f"{a.percent:.1f} {a.metric} ({a.dataset}, n = {a.n_persons})"
        table.add_row("accuracy", text)
    if summary.accuracy_fps_per_watt is not None:
        text = f"{_figure(summary.accuracy_fps_per_watt, 0)} (power {power.source})"
        table.add_row("accuracy × FPS / W", text)
    table.add_row("machine", _machine(report.environment))
    return table


def _cold_start(report: ColdStartReport) -> Table:
    summary = report.summary
    title = f"process start to first pose, {len(report.rounds)} rounds, median (min to max)"
    table = _table(title, ("", "s"))
    table.add_row("start of the interpreter", _figure(summary.interpreter_s, 3))
    table.add_row("imports", _figure(summary.imports_s, 3))
    table.add_row("load of runtime and model", _figure(summary.model_load_s, 3))
    table.add_row("first pose", _figure(summary.first_pose_s, 3))
    target = _target(f"below {summary.target_s:g}", met=summary.target_met)
    table.add_row("together", f"{_figure(summary.total_s, 3)}, {target}")
    table.add_row("machine", _machine(report.environment))
    return table


def _mediapipe(report: MediapipeReport) -> Table:
    summary = report.summary
    title = f"{summary.frames} frames, {len(report.rounds)} rounds, median (min to max)"
    table = _table(title, ("", "FPS, reading included", "frames with a person"))
    table.add_row(
        "edge_pose",
        _figure(summary.edge_pose_fps, 1),
        _figure(summary.edge_pose_frames_with_people, 0),
    )
    table.add_row(
        f"MediaPipe Pose {report.peer_versions.get('mediapipe', '')}",
        _figure(summary.mediapipe_fps, 1),
        _figure(summary.mediapipe_frames_with_people, 0),
    )
    target = _target(f"at least {summary.target_ratio:g}", met=summary.target_met)
    table.add_row("ratio", f"{_figure(summary.ratio, 2)}, {target}", "")
    table.add_row("machine", _machine(report.environment), "")
    return table


def _table(title: str | None, columns: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, style="bold" if number == 0 else None)
    return table


def _figure(value: Spread, decimals: int) -> str:
    return (
        f"{value.median:.{decimals}f} ({value.min:.{decimals}f} to {value.max:.{decimals}f})"
        if value.min != value.max
        else f"{value.median:.{decimals}f}"
    )


def _target(text: str, *, met: bool) -> str:
    return f"target {text}: {'met' if met else 'MISSED'}"


def _machine(environment: Environment) -> str:
    model = environment.cpu_model or environment.machine
    return f"{model}, {environment.cores_available} cores, Python {environment.python}"
