"""How far off a network is: errors by joint group, and accuracy against the threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.metrics.pck import GROUPS, MEAN14
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray
from training.pictures.style import (
    BLUE,
    DASHES,
    GRAY,
    LINES,
    VERMILLION,
    PictureError,
    new_figure,
    plain_axes,
    save,
)

BINS = 40
REACH = 2.0  # thresholds are drawn up to this multiple of the metric's own


def error_picture(
    errors: FloatArray, threshold: float, out: Path, *, metric: str, unit: str = "unit"
) -> Path:
    """Draw a histogram per joint group and the cumulative curve of each.

    Args:
        errors: (N, 16) distances from the truth over the metric's unit, NaN where unknown.
        threshold: of the metric, units.
        out: file to write.
        metric: its name.
        unit: name of the unit, for the axes.

    Raises:
        PictureError: no error is known, or the file cannot be written.
    """
    groups = {name: group_errors(errors, joints) for name, joints in GROUPS.items()}
    groups = {name: values for name, values in groups.items() if len(values)}
    if not groups:
        raise PictureError(f"{out}: no joint is both annotated and predicted")
    figure = new_figure(11, 1.1 + 0.85 * max(len(groups), 4))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    _histograms(left, groups, threshold, unit)
    axes = right.subplots()
    everything = group_errors(errors, MEAN14)
    _cumulative(axes, groups, everything, threshold)
    axes.set_xlabel(f"threshold, {unit}")
    axes.set_ylabel("joints within the threshold, %")
    axes.set_title(f"{metric} and other thresholds, {len(errors)} people", fontsize=11)
    return save(figure, out)


def group_errors(errors: FloatArray, joints: tuple[str, ...]) -> FloatArray:
    """Return the known errors of some joints, (n,)."""
    values = errors[:, [MPII16.index(name) for name in joints]]
    return values[np.isfinite(values)]


def share_within(values: FloatArray, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentage of values up to each of the (T,) thresholds."""
    within = np.searchsorted(np.sort(values), thresholds, side="right")
    return 100.0 * within / max(len(values), 1)


def _histograms(figure: Any, groups: dict[str, FloatArray], threshold: float, unit: str) -> None:  # noqa: ANN401
    limit = REACH * threshold
    bins = np.linspace(0, limit, BINS + 1)
    rows = np.ravel(figure.subplots(len(groups), 1, sharex=True, squeeze=False))
    for axes, (name, values) in zip(rows, groups.items(), strict=True):
        # Whatever lies farther out is in the last bar.
        counts, _ = np.histogram(np.minimum(values, limit), bins)
        wrong = bins[:-1] >= threshold - 1e-9
        colors = np.where(wrong, VERMILLION, BLUE)
        share = 100 * counts / len(values)
        axes.bar(bins[:-1], share, np.diff(bins), align="edge", color=colors)
        axes.axvline(threshold, color=GRAY, linewidth=1, linestyle="--")
        plain_axes(axes)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, labelpad=10)
        axes.set_xlim(0, limit)
        right = share_within(values, np.array([threshold]))[0]
        axes.text(
            0.94, 0.93, f"{right:.0f} % right", transform=axes.transAxes, ha="right", va="top",
            fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    rows[-1].set_xlabel(f"error, {unit}; the last bar holds everything beyond")
    rows[0].set_title("share of joints, %, per error", fontsize=11)


def _cumulative(
    axes: Any,  # noqa: ANN401
    groups: dict[str, FloatArray],
    everything: FloatArray,
    threshold: float,
) -> None:
    thresholds = np.linspace(0, REACH * threshold, 101)
    for (name, values), colour, dash in zip(groups.items(), LINES, DASHES, strict=False):
        share = share_within(values, thresholds)
        axes.plot(thresholds, share, color=colour, linestyle=dash, linewidth=1.8, label=name)
    share = share_within(everything, thresholds)
    axes.plot(thresholds, share, color="black", linewidth=3.2, label="all joints")
    axes.axvline(threshold, color=GRAY, linewidth=1, linestyle="--")
    axes.set(xlim=(0, REACH * threshold), ylim=(0, 100))
    plain_axes(axes)
    axes.legend(loc="lower right", fontsize=9, handlelength=3.2, frameon=True)
