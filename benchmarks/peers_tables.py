"""A `peers` report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers_report import (
    ContestantResult,
    Difference,
    Latency,
    PeersReport,
    verdict,
)
from benchmarks.report import Spread
from benchmarks.tables import machine_text, plain_table, spread_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

NONE = "–"


def peers_tables(report: PeersReport) -> list[RenderableType]:
    """Return the tables of a report."""
    names = dict.fromkeys(one.ours for one in report.comparisons)
    compared = [_compared(report, name) for name in names]
    return [_contestants(report), *compared, _behind(report), _facts(report)]


def _contestants(report: PeersReport) -> Table:
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    scores = report.contestants[0].scores
    estimated = " (est.)" if report.power_source == "estimated" else ""
    table = plain_table(
        f"{report.n_persons} crops of {report.people}, {threads}, in turns, medians over"
        f" {report.rounds} rounds",
        (
            "",
            "px",
            "crop",
            *(f"{s.metric} {s.dataset}, 12 joints (95 %)" for s in scores),
            "network p50 / p95, ms",
            "with pre/post p50 / p95, ms",
            f"mJ{estimated}",
            f"AE{estimated}",
        ),
    )
    table.columns[0].no_wrap = True
    for one in report.contestants:
        table.add_row(
            one.name,
            f"{one.input_size[0]}",
            f"{one.crop_factor:g}",
            *(f"{s.percent:.1f} ({s.low:.1f} to {s.high:.1f})" for s in one.scores),
            _latency(one.network),
            _latency(one.whole),
            *_efficiency(one),
        )
    return table


def _latency(one: Latency) -> str:
    return f"{one.p50_ms.median:.2f} / {one.p95_ms.median:.2f}"


def _efficiency(one: ContestantResult) -> tuple[str, str]:
    if one.efficiency is None:
        return NONE, NONE
    ae = one.efficiency.accuracy_fps_per_watt
    millijoules = f"{one.efficiency.joules_per_frame.median * 1e3:.0f}"
    return millijoules, NONE if ae is None else f"{ae.median:.0f}"


def _compared(report: PeersReport, ours: str) -> Table:
    table = plain_table(
        f"{ours} against each peer: points of accuracy, times as quick, times the AE; below 0 or 1"
        " we lose",
        (
            "",
            *(f"points {score.dataset} (95 %)" for score in report.contestants[0].scores),
            "network",
            "with pre/post",
            "AE",
        ),
    )
    table.columns[0].no_wrap = True
    for one in report.comparisons:
        if one.ours == ours:
            ratios = (one.network, one.whole, one.efficiency)
            points = (_difference(found) for found in one.accuracy)
            table.add_row(one.peer, *points, *(_ratio(ratio) for ratio in ratios))
    return table


def _ratio(value: Spread | None) -> str:
    if value is None:
        return NONE
    return f"{spread_text(value, 2)} {verdict(value.median, value.max, 1.0)}".strip()


def _difference(value: Difference) -> str:
    text = f"{value.points:+.1f} ({value.low:+.1f} to {value.high:+.1f})"
    return f"{text} {verdict(value.points, value.high, 0.0)}".strip()


def _behind(report: PeersReport) -> Table:
    """Return every loss in words; one row that says so where there is none."""
    table = plain_table("where we lose", ("ours", "to", "in"))
    for one in report.comparisons:
        for line in one.losses:
            table.add_row(one.ours, one.peer, line)
    if not table.row_count:
        table.add_row("", "", "none of the figures above")
    return table


def _facts(report: PeersReport) -> Table:
    table = plain_table(None, ("", ""))
    if report.power_source is not None:
        table.add_row("power", f"{report.power_source}: {report.power_detail}")
    for note in report.notes:
        table.add_row("note", note)
    table.add_row("machine", machine_text(report.environment))
    return table
