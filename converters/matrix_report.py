"""The matrix as a table for a terminal, as JSON and as an HTML page with a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from converters.matrix import SCHEMA, Cell
from edge_pose.manifest import Attempt
from training.pictures.page import page
from training.pictures.style import LINES, new_figure, plain_axes

if TYPE_CHECKING:
    from rich.table import Table

MARKERS = {"fp32": "o", "fp16": "s", "dynamic_int8": "^", "int8": "D"}


def as_json(model: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the matrix as JSON values."""
    return {"schema": SCHEMA, "model": model, "rows": [cell.to_json() for cell in cells]}


def headings(cells: Sequence[Cell]) -> list[str]:
    """Return the names of the columns."""
    timed = [f"p50 ms, {n} thread{'s' * (n > 1)}" for n in _threads(cells)]
    names = ["format", "precision", "MB", *timed, "accuracy", "drift p95 px", "agreement"]
    names += ["method", "float layers"]
    if _climbed(cells):
        names.append("tries")
    return [*names, "verdict"]


def rows(cells: Sequence[Cell]) -> list[list[str]]:
    """Return the table's words, one row per cell."""
    threads, climbed = _threads(cells), _climbed(cells)
    return [_row(cell, threads, climbed=climbed) for cell in cells]


def _row(cell: Cell, threads: Sequence[int], *, climbed: bool) -> list[str]:
    words = [
        cell.format,
        cell.precision,
        f"{cell.artifact.manifest.file.total_bytes / 1e6:.2f}" if cell.artifact else "",
        *(f"{cell.latency[n].p50_ms:.2f}" if n in cell.latency else "" for n in threads),
        *_measured(cell),
    ]
    if climbed:
        words.append(str(len(cell.attempts) or ""))
    return [*words, cell.verdict]


def _measured(cell: Cell) -> list[str]:
    """Return accuracy, drift, agreement, and how the integers were found."""
    if cell.artifact is None or cell.gate is None:
        return [""] * 5
    gate, calibration = cell.gate, cell.artifact.manifest.calibration
    return [
        f"{gate.artifact_accuracy:.2f}",
        f"{gate.drift_p95_px:.2f}",
        f"{gate.argmax_agreement:.1%}",
        calibration.method if calibration else "",
        str(len(calibration.float_layers)) if calibration else "",
    ]


def _climbed(cells: Sequence[Cell]) -> bool:
    """Tell whether anything was tried twice."""
    return any(len(cell.attempts) > 1 for cell in cells)


def notes(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each cell that was tried in several ways: what each gave."""
    return [
        f"{cell.name}: " + "; ".join(map(_attempt, cell.attempts))
        for cell in cells
        if len(cell.attempts) > 1
    ]


def _attempt(row: Attempt) -> str:
    count = row.float_layers
    layers = f", {count} float layer{'s' * (count > 1)}" if count else ""
    return (
        f"{row.method}, {row.n_images} images{layers}: {row.artifact_accuracy:.2f},"
        f" p95 {row.drift_p95_px:.2f} px, {'passed' if row.passed else 'failed'}"
    )


def _threads(cells: Sequence[Cell]) -> list[int]:
    return sorted({n for cell in cells for n in cell.latency})


def terminal_table(title: str, cells: Sequence[Cell]) -> Table:
    """Return the matrix for a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, caption=summary(cells), box=box.SIMPLE, pad_edge=False)
    for name in headings(cells):
        words = name in ("format", "precision", "method", "verdict")
        # What is cut off a number makes another number.
        table.add_column(
            name, justify="left" if words else "right", no_wrap=False, overflow="fold",
            min_width=None if words else 6,
        )  # fmt: skip
    for row in rows(cells):
        table.add_row(*row)
    return table


def summary(cells: Sequence[Cell]) -> str:
    """Say what the checkpoint has, on whom it was measured and how many passed."""
    gates = [cell.gate for cell in cells if cell.gate is not None]
    if not gates:
        return "nothing could be converted"
    first, passed = gates[0], sum(gate.passed for gate in gates)
    return (
        f"checkpoint {first.checkpoint_accuracy:.2f}, {first.metric}, {first.n_persons} persons of"
        f" {first.dataset}; {passed} of {len(cells)} pass the gate; latencies of one inference,"
        " batch 1, all in one run, turn by turn"
    )


def html_page(title: str, cells: Sequence[Cell]) -> str:
    """Return the page, which loads nothing."""
    return page(title, summary(cells), _figure(cells), headings(cells), rows(cells), notes(cells))


def _figure(cells: Sequence[Cell]) -> Any:  # noqa: ANN401 - matplotlib has no types
    """Draw accuracy against latency at the lowest thread count; hollow where the gate failed."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    colours = dict(zip(dict.fromkeys(cell.format for cell in cells), LINES, strict=False))
    threads = _threads(cells)
    for cell in cells:
        gate = cell.gate
        if gate is None or not cell.latency:
            continue
        colour, marker = colours[cell.format], MARKERS[cell.precision]
        axes.plot(
            cell.latency[min(cell.latency)].p50_ms, gate.artifact_accuracy, marker, color=colour,
            markersize=9, markerfacecolor=colour if gate.passed else "white", alpha=0.8,
            label=cell.name, linestyle="",
        )  # fmt: skip
    axes.set_xlabel(f"median latency, ms ({threads[0] if threads else 0} thread)")
    axes.set_ylabel("accuracy, %")
    axes.set_title("filled: the gate passed")
    axes.margins(0.15)
    axes.set_xlim(left=0)
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    plain_axes(axes)
    return figure
