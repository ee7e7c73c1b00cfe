"""The documents' tables and ours for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figure_text import LOST, mode_words, number
from benchmarks.reference import OurRow, Reference
from benchmarks.reference_table1 import MeanRow, Table1
from benchmarks.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

NO_FIGURE = "–"


def reference_tables(found: Reference) -> list[RenderableType]:
    """Return everything to print, in order."""
    printed: list[RenderableType] = [_efficiency(found), *found.efficiency.notes]
    printed += [f"{row.name} does not compare: {'; '.join(row.unlike)}" for row in found.ours]
    if found.weighted_mean is not None:
        printed += ["", *_table1(found.weighted_mean)]
    return printed


def _efficiency(found: Reference) -> Table:
    table = plain_table(
        found.efficiency.title,
        ("", "accuracy", "FPS", "W", "AE printed", "AE computed", "printed follows"),
    )
    for row in found.efficiency.rows:
        table.add_row(
            row.model,
            f"{row.ap} {found.efficiency.metric}, {found.efficiency.dataset}",
            str(row.fps),
            f"{row.implied_w:.1f} implied",
            str(row.ae),
            f"{row.computed_ae:.3f}",
            row.agrees,
        )
    for one in found.ours:
        table.add_row(*_ours(one))
    return table


def _ours(row: OurRow) -> tuple[str, ...]:
    accuracy = NO_FIGURE
    if row.accuracy_percent is not None:
        accuracy = f"{row.accuracy_percent:.1f} {row.metric}, {row.dataset}, n = {row.persons}"
    return (
        f"ours: {row.name} ({row.artifact})",
        accuracy,
        f"{number(row.fps)}, {mode_words(row.mode)}",
        LOST if row.power_w is None else f"{number(row.power_w)} {row.power_source}",
        NO_FIGURE,
        NO_FIGURE if row.ae is None else number(row.ae),
        "not comparable" if row.valid else "not comparable, INVALID",
    )


def _table1(found: Table1) -> list[RenderableType]:
    table = plain_table(
        f"hourglass document, Table 1: weighted mean in %; {found.following} of {found.compared}"
        " follow from the other columns",
        (
            "",
            f"{found.metric}, {found.dataset}, n = {found.document_persons}",
            "MAdds, G",
            "params, M",
            "printed",
            "computed",
            "follows",
            f"ours: {found.metric}",
            "ours: weighted mean",
        ),
    )
    for row in found.rows:
        table.add_row(*_mean_row(row))
    return [table, *(f"ours do not compare: {line}" for line in found.unlike)]


def _mean_row(row: MeanRow) -> tuple[str, ...]:
    return (
        row.title,
        f"{row.pckh:.2f}",
        _optional(row.madds_g, ".2f"),
        f"{row.params_m:g}",
        _optional(row.printed, "+.2f"),
        _optional(row.computed, "+.2f"),
        {None: "", True: "yes", False: "NO"}[row.follows],
        f"{row.ours_pckh:.2f} (n = {row.ours_persons})",
        _optional(row.ours_weighted_mean, "+.2f"),
    )


def _optional(value: float | None, form: str) -> str:
    return NO_FIGURE if value is None else format(value, form)
