"""Accuracy against cost of many networks, bubbles as large as the networks (S3's figure 4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from training.pictures.style import (
    GRAY,
    LINES,
    PictureError,
    new_figure,
    plain_axes,
    save,
)

LARGEST_BUBBLE_PT = 46.0  # diameter
SMALLEST_BUBBLE_PT = 6.0
# Where a label may stand, as multiples of the bubble's radius plus a gap: right, left, above, …
PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8))
Box: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 px."""
RINGS = (3, 14, 28, 44, 62, 82)  # gaps in points; farther labels get a line to their bubble


def tradeoff_picture(
    rows: Sequence[Mapping[str, Any]],
    out: Path,
    *,
    cost: str = "madds",
    cost_label: str = "multiply-adds",
    accuracy_label: str = "PCKh@0.5, %",
    title: str = "",
) -> Path:
    """Draw one bubble per row, its area in proportion to the number of parameters.

    Args:
        rows: each with `name`, `accuracy`, `params` and the key `cost`; `group` (str), where given,
            sets the colour. Rows without a finite accuracy or a positive cost are left out.
        out: file to write.
        cost: key of the horizontal axis, which is logarithmic when its range is wide.
        cost_label: of the horizontal axis.
        accuracy_label: of the vertical axis.
        title: of the picture.

    Raises:
        PictureError: no row is complete, or the file cannot be written.
    """
    usable = [row for row in rows if _complete(row, cost)]
    if not usable:
        raise PictureError(f"{out}: no row with accuracy, params and {cost}")
    figure = new_figure(10, 6.5)
    axes = figure.subplots()
    costs = [float(row[cost]) for row in usable]
    if max(costs) / min(costs) > 20:
        axes.set_xscale("log")
    largest = max(float(row["params"]) for row in usable)
    groups = list(dict.fromkeys(str(row.get("group", "")) for row in usable))
    bubbles = [
        (row, float(row[cost]), float(row["accuracy"]), _bubble(axes, row, cost, largest, groups))
        # Large ones first, so that small ones lie on top.
        for row in sorted(usable, key=lambda row: -float(row["params"]))
    ]
    axes.set_xlabel(f"{cost_label}    (area of a bubble: parameters, at most {_short(largest)})")
    axes.set_ylabel(accuracy_label)
    axes.set_title(title)
    axes.margins(0.12)
    plain_axes(axes)
    _legend(axes, groups)
    figure.canvas.draw()  # labels are placed in px: the axes have to be where they will be
    _place_labels(axes, bubbles)
    return save(figure, out)


def _bubble(
    axes: Any,  # noqa: ANN401
    row: Mapping[str, Any],
    cost: str,
    largest: float,
    groups: list[str],
) -> float:
    """Draw one row; returns the radius of its bubble in points."""
    share = float(row["params"]) / largest
    diameter = max(LARGEST_BUBBLE_PT * math.sqrt(share), SMALLEST_BUBBLE_PT)
    colour = LINES[groups.index(str(row.get("group", ""))) % len(LINES)]
    axes.scatter(
        [row[cost]], [row["accuracy"]], s=diameter**2, color=colour, marker="o", alpha=0.6,
        edgecolor="black", linewidth=0.8,
    )  # fmt: skip
    return diameter / 2


def _complete(row: Mapping[str, Any], cost: str) -> bool:
    values = [row.get(key) for key in ("accuracy", "params", cost)]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        return False
    return float(row["params"]) > 0 and float(row[cost]) > 0


def _legend(axes: Any, groups: list[str]) -> None:  # noqa: ANN401
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=9,
               markerfacecolor=LINES[i % len(LINES)], markeredgecolor="black", label=name)
        for i, name in enumerate(groups) if name
    ]  # fmt: skip
    if handles:
        axes.legend(
            handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False,
            fontsize=9, labelspacing=1.2,
        )  # fmt: skip


def _place_labels(
    axes: Any,  # noqa: ANN401
    bubbles: Sequence[tuple[Mapping[str, Any], float, float, float]],
) -> None:
    """Put each name at the nearest place where it covers neither a bubble nor another name."""
    from matplotlib.text import Text

    renderer = axes.figure.canvas.get_renderer()
    px_per_pt = axes.figure.dpi / 72
    frame = axes.get_window_extent(renderer)
    taken: list[Box] = []
    for _, x, y, size in bubbles:
        px, py = axes.transData.transform((x, y))
        reach = size * px_per_pt
        taken.append((px - reach, py - reach, px + reach, py + reach))
    for row, x, y, size in bubbles:
        for gap, (dx, dy) in itertools.product(RINGS, PLACES):
            text = axes.annotate(
                str(row["name"]), (x, y), (dx * (size + gap), dy * (size + gap)),
                textcoords="offset points", fontsize=9, zorder=5,
                ha="left" if dx > 0 else "right" if dx < 0 else "center",
                va="bottom" if dy > 0 else "top" if dy < 0 else "center",
                arrowprops={"arrowstyle": "-", "color": GRAY, "lw": 0.7} if gap > 3 else None,
            )  # fmt: skip
            text.set_in_layout(False)  # or the axes would move after the places are chosen
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer)  # of the words, without their line
            corners = (box.x0, box.y0, box.x1, box.y1)
            inside = frame.x0 < box.x0 and box.x1 < frame.x1
            inside = inside and frame.y0 < box.y0 and box.y1 < frame.y1
            if inside and not any(_overlap(corners, other) for other in taken):
                taken.append(corners)
                break
            text.remove()
        else:
            axes.annotate(str(row["name"]), (x, y), fontsize=9, ha="center", va="center", zorder=5)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _short(number: float) -> str:
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number:.3g}"
