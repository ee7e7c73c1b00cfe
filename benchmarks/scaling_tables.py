"""A scaling report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.scaling import ScalingReport
from benchmarks.tables import machine_text, plain_table, spread_text

if TYPE_CHECKING:
    from rich.console import RenderableType


def scaling_tables(report: ScalingReport) -> list[RenderableType]:
    """Return a table for each axis."""
    base = report.points[0].case.model_copy(update={"threads": report.points[0].threads})
    detector = f" with {report.detector}" if report.detector else ""
    title = (
        f"{report.model}{detector} ({report.task}), {report.frames} frames a pass,"
        f" median (min to max) of rounds: {len(report.points[0].rounds)}.\nRatios are to {base}"
    )
    tables: list[RenderableType] = [title]
    for axis, places in report.axes.items():
        table = plain_table(None, (axis, "FPS", "ratio", "found", "CPU, %", "CPU ms per frame"))
        for place in places:
            point = report.points[place]
            case = point.case
            names = {
                "people": str(case.people),
                "threads": str(point.threads),
                "resolution": "{}×{}".format(*case.size),
            }
            table.add_row(
                names.get(axis) or str(getattr(case, axis)),
                spread_text(point.fps, 1),
                spread_text(point.ratio, 2),
                f"{point.people_found.median:.1f}",
                f"{point.cpu_percent.median:.0f}",
                spread_text(point.cpu_ms_per_frame, 1),
            )
        tables.append(table)
    facts = plain_table(None, ("", ""))
    facts.add_row("machine", machine_text(report.environment))
    return [*tables, facts]
