"""Learning curves of a run: a picture, or a page that needs no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from training.checkpoint import CheckpointError
from training.pictures.page import page, write_page
from training.pictures.style import BLUE, GRAY, LINES, new_figure, plain_axes, save

Epoch: TypeAlias = Mapping[str, Any]
"""One line of log.jsonl."""


def read_log(log: Path) -> list[dict[str, Any]]:
    """Return the epochs of a run's log.jsonl.

    Raises:
        CheckpointError: it is missing, empty or not JSON lines.
    """
    try:
        epochs = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CheckpointError(f"{log}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{log}: not a training log: {error}") from None
    if not epochs or not all(isinstance(e, dict) and {"epoch", "loss"} <= e.keys() for e in epochs):
        raise CheckpointError(f"{log}: not a training log: no epoch with a loss in it")
    return epochs


def plot_log(log: Path, out: Path) -> Path:
    """Draw loss, measured accuracy and learning rate against epochs; returns `out`.

    Args:
        log: log.jsonl of a run.
        out: a picture (.png, .svg, .pdf), or a page (.html) with the picture and a table of the
            epochs, which loads nothing.

    Raises:
        CheckpointError: the log cannot be read.
        PictureError: `out` cannot be written, or there is no such format.
    """
    epochs = read_log(log)
    if out.suffix.lower() not in (".html", ".htm"):
        return save(_figure(epochs), out)
    return write_page(log_page(epochs, title=log.resolve().parent.name or log.name), out)


def log_page(epochs: Sequence[Epoch], *, title: str) -> str:
    """Return the HTML page of some epochs, with everything it needs inside."""
    rows = [_flat(epoch) for epoch in epochs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = [name.replace("_", " ") for name in names]
    table = [[row.get(name, "") for name in names] for row in rows]
    return page(title, _summary(epochs), _figure(epochs), head, table)


def measurements(epochs: Sequence[Epoch]) -> dict[str, tuple[list[int], list[float]]]:
    """Return (epochs, values) of each measured figure that counts, the first of its table."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for epoch in epochs:
        for table, figures in epoch.items():
            if isinstance(figures, Mapping) and figures:
                name, value = next(iter(figures.items()))
                if isinstance(value, (int, float)):
                    label = f"{table.replace('_', ' ')}, {name}"
                    numbers, values = found.setdefault(label, ([], []))
                    numbers.append(int(epoch["epoch"]))
                    values.append(float(value))
    return found


def _figure(epochs: Sequence[Epoch]) -> Any:  # noqa: ANN401 - matplotlib has no types
    measured = measurements(epochs)
    heights = [3.0] + [2.2] * bool(measured) + [1.0] * any("lr" in epoch for epoch in epochs)
    figure = new_figure(8, 0.8 + sum(heights))
    figure.suptitle(_summary(epochs), fontsize=11)
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    ).ravel()
    rest = iter(panels)
    number = [epoch["epoch"] for epoch in epochs]
    loss = next(rest)
    loss.plot(number, [epoch["loss"] for epoch in epochs], ".-", color=BLUE)
    loss.set_ylabel("training loss")
    if measured:
        axes = next(rest)
        for (label, (at, values)), colour in zip(measured.items(), LINES[1:], strict=False):
            axes.plot(at, values, "o-", color=colour, markersize=4, label=label)
        axes.set_ylabel("measured, %")
        axes.legend(fontsize=9, loc="lower right")
    for axes in rest:
        axes.plot(number, [epoch.get("lr") for epoch in epochs], color=GRAY)
        axes.set_ylabel("learning rate")
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    for axes in panels:
        plain_axes(axes)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    _mark_sizes(panels, epochs)
    return figure


def _mark_sizes(panels: Sequence[Any], epochs: Sequence[Epoch]) -> None:
    """Draw a line where the input size changes, with the new size in the upper panel."""
    for before, after in pairwise(epochs):
        if before.get("input_side") != after.get("input_side"):
            at = before["epoch"] + 0.5
            for axes in panels:
                axes.axvline(at, color="0.6", linestyle=":")
            panels[0].annotate(
                f"{after['input_side']} px", (at, 1), (3, -3), textcoords="offset points",
                xycoords=("data", "axes fraction"), va="top", fontsize=9,
            )  # fmt: skip


def _summary(epochs: Sequence[Epoch]) -> str:
    last = epochs[-1]
    parts = [f"{last['epoch']} epochs", f"last loss {last['loss']:.3f}"]
    if "minutes" in last:
        parts.insert(1, f"{last['minutes']:.0f} minutes")
    parts += [f"{label} {values[-1]:.1f} %" for label, (_, values) in measurements(epochs).items()]
    return ", ".join(parts)


def _flat(epoch: Epoch) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in epoch.items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {key}": number for key, number in value.items()}
        else:
            flat[name] = value
    return flat
