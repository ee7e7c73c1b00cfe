"""The selection as a table: the chosen candidate, and why each other was not."""

from __future__ import annotations

from rich import box
from rich.table import Table

from converters.select import Selection


def table(selection: Selection) -> Table:
    """Return the candidates, the highest AE first."""
    sources = {result.power for result in selection.results}
    power = f"W {', '.join(sorted(sources))}"
    made = Table(box=box.SIMPLE, pad_edge=False, caption="AE: accuracy × FPS / W")
    made.add_column("candidate", overflow="fold")
    for name in ("accuracy", "p50 ms", "p95 ms", "FPS", power, "AE"):
        made.add_column(name, justify="right")
    made.add_column("")
    for result in selection.results:
        made.add_row(
            result.candidate,
            f"{result.accuracy:.2f}",
            f"{result.p50_ms:.2f}",
            f"{result.p95_ms:.2f}",
            f"{result.fps:.1f}",
            f"{result.watts:.2f}",
            f"{result.ae:.0f}",
            result.rejected or "[green]chosen[/green]",
        )
    for name, reason in selection.refused:
        made.add_row(name, "", "", "", "", "", "", reason)
    return made
