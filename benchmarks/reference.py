"""The documents' own tables, computed again, and our results beside them.

What can be computed from a table's other columns is computed, never copied: the power that a row of
AE = AP × FPS / W implies, AE itself, the weighted mean. A figure that does not follow is marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmarks.device_files import Named
from benchmarks.named_figures import OTHER_MODES, preferred
from benchmarks.published import PrintedRow, PrintedTable, accuracy_efficiency
from benchmarks.reference_table1 import Table1, read_table1
from benchmarks.report import Table
from benchmarks.result import DeviceResult
from edge_pose.power import PowerSource

Agreement = Literal["to the last digit", "within the rounding of its factors", "no"]


class EfficiencyRow(PrintedRow):
    """One row of AE and what follows from it."""

    implied_w: float = Field(description="FPS / efficiency")
    implied_low_w: float = Field(description="of what the printed figures may have been")
    implied_high_w: float
    computed_ae: float = Field(description="AP × efficiency")
    agrees: Agreement = Field(description="the printed AE with the computed one")


class Efficiency(Table):
    """The document's table of AE."""

    title: str
    metric: str
    dataset: str
    rows: tuple[EfficiencyRow, ...]
    notes: tuple[str, ...]


class OurRow(Table):
    """One of our results."""

    name: str
    artifact: str
    profile: str
    metric: str | None
    dataset: str | None
    persons: int | None
    accuracy_percent: float | None
    mode: str
    fps: float
    power_w: float | None
    power_source: PowerSource
    power_meter: str
    ae: float | None
    valid: bool
    unlike: tuple[str, ...] = Field(description="why it does not compare with the document's rows")


class Reference(Table):
    """Everything that `edge-pose-bench reference` shows."""

    schema_: Literal["edge_pose.reference/1"] = Field("edge_pose.reference/1", alias="schema")
    efficiency: Efficiency
    ours: tuple[OurRow, ...]
    weighted_mean: Table1 | None = Field(description="None: its file is not here")


def reference(results: Sequence[Named], table1_file: Path | None) -> Reference:
    """Return the documents' tables with our results.

    Args:
        results: of `edge-pose-bench run`, to stand beside the table of AE.
        table1_file: that `edge-pose-train table1` wrote; None where there is none.

    Raises:
        UsageError: a file cannot be read, or is wrong.
    """
    printed = accuracy_efficiency()
    return Reference(
        efficiency=efficiency(printed),
        ours=tuple(_ours(one, printed) for one in results),
        weighted_mean=None if table1_file is None else read_table1(table1_file),
    )


def efficiency(printed: PrintedTable) -> Efficiency:
    """Return the table of AE with what follows from its columns."""
    rows = tuple(_row(row) for row in printed.rows)
    return Efficiency(
        title=printed.title,
        metric=printed.metric,
        dataset=printed.dataset,
        rows=rows,
        notes=tuple(_notes(rows, printed.family)),
    )


def _row(row: PrintedRow) -> EfficiencyRow:
    ap, fps, fps_per_w = (_rounded(value) for value in (row.ap, row.fps, row.efficiency))
    computed = row.ap * row.efficiency
    return EfficiencyRow(
        **dict(row),
        implied_w=float(row.fps / row.efficiency),
        implied_low_w=float(fps[0] / fps_per_w[1]),
        implied_high_w=float(fps[1] / fps_per_w[0]),
        computed_ae=float(computed),
        agrees=_agreement(row.ae, computed, (ap[0] * fps_per_w[0], ap[1] * fps_per_w[1])),
    )


def _rounded(printed: Decimal) -> tuple[Decimal, Decimal]:
    """Return the least and the greatest figure that is printed so."""
    half = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)
    return printed - half, printed + half


def _agreement(printed: Decimal, computed: Decimal, may_be: tuple[Decimal, Decimal]) -> Agreement:
    low, high = _rounded(printed)
    if low <= computed <= high:
        return "to the last digit"
    return "within the rounding of its factors" if low <= may_be[1] and may_be[0] <= high else "no"


def _notes(rows: Sequence[EfficiencyRow], family: str) -> Iterator[str]:
    def watts(row: EfficiencyRow) -> str:
        return f"{row.implied_w:.1f} W"

    for power, same in groupby(sorted(rows, key=watts), watts):
        names = ", ".join(row.model for row in same)
        yield f"implied power {power}: {names}"
    own = [row for row in rows if row.family == family]
    for peer in rows:
        if peer.family == family or not own:
            continue
        ratios = _span([row.ae / peer.ae for row in own])
        note = f"{family} against {peer.model}: {ratios} times the AE"
        unlike = {watts(row) for row in own} - {watts(peer)}
        if unlike:
            speed = _span([row.ap * row.fps / (peer.ap * peer.fps) for row in own])
            note += (
                f", {speed} times AP × FPS: the rest is {watts(peer)} against"
                f" {', '.join(sorted(unlike))}, which is not like for like"
            )
        yield note


def _span(values: Sequence[Decimal]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _ours(one: Named, printed: PrintedTable) -> OurRow:
    result = one.result
    accuracy = result.artifact.accuracy
    name, mode = preferred(result, OTHER_MODES)
    ae = mode.power.accuracy_fps_per_watt
    return OurRow(
        name=one.name,
        artifact=result.artifact.name,
        profile=result.device.profile,
        metric=accuracy and accuracy.metric,
        dataset=accuracy and accuracy.dataset,
        persons=accuracy and accuracy.n_persons,
        accuracy_percent=accuracy and accuracy.percent,
        mode=name,
        fps=mode.fps.mean,
        power_w=mode.power.mean_w.mean if mode.power.known else None,
        power_source=result.meter.source,
        power_meter=result.meter.name,
        ae=ae and ae.mean,
        valid=result.validity.valid,
        unlike=tuple(_unlike(result, printed)),
    )


def _unlike(result: DeviceResult, printed: PrintedTable) -> Iterator[str]:
    accuracy = result.artifact.accuracy
    if accuracy is None:
        yield "no accuracy"
    else:
        if accuracy.metric != printed.metric:
            yield f"metric {accuracy.metric} against {printed.metric}"
        if accuracy.dataset != printed.dataset:
            yield f"data set {accuracy.dataset} against {printed.dataset}"
        yield f"n = {accuracy.n_persons} against an unknown number"
    yield f"power {result.meter.source} against implied"
    yield f"{result.device.profile} against devices that are not named"
