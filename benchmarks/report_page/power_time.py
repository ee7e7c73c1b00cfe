"""Power over time, with the idle baseline."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

from benchmarks.device_files import Named
from benchmarks.figure_text import LOST, interval_text, mode_words, number
from benchmarks.report_page.picture import (
    INK,
    MODE_COLOURS,
    MODE_DASHES,
    MODE_MARKERS,
    MUTED,
    Picture,
    draw,
)
from benchmarks.result import DeviceResult, PowerSeries

GAP = 4.0  # times the usual time between two samples: another repeat


def power_over_time(key: str, one: Named) -> Picture:
    """Return the power of all modes."""
    result = one.result
    meter = result.meter
    listed = "; ".join(
        f"{mode_words(name)}: "
        + (f"{interval_text(mode.power.mean_w)} W" if mode.power.known else LOST)
        for name, mode in result.modes.items()
    )
    idle = "" if meter.idle_w is None else f" Idle before: {number(meter.idle_w)} W."
    error = "" if meter.uncertainty_w is None else f", mean ± {number(meter.uncertainty_w)} W"
    return draw(
        key,
        2.9,
        f"Power, {meter.source}",
        f"{meter.source.capitalize()} by {meter.name} ({meter.scope}): {meter.detail}{error}. Time"
        " since each mode's first repeat; gaps are the other measurements.",
        f"Power over time, {meter.source}. {listed}.{idle}",
        lambda figure: _paint(figure, result),
    )


def pieces(series: PowerSeries) -> list[tuple[list[float], list[float]]]:
    """Return (seconds, W) of each repeat, told apart by the pauses between them."""
    if not series.time_s:
        return []
    steps = [after - before for before, after in pairwise(series.time_s)]
    pause = GAP * statistics.median(steps) if steps else 0.0
    found: list[tuple[list[float], list[float]]] = [([], [])]
    for step, time_s, power_w in zip((0.0, *steps), series.time_s, series.power_w, strict=True):
        if step > pause:
            found.append(([], []))
        found[-1][0].append(time_s)
        found[-1][1].append(power_w)
    return found


def _paint(figure: Any, result: DeviceResult) -> None:  # noqa: ANN401 - matplotlib has no types
    axes = figure.subplots()
    for name, mode in result.modes.items():
        for number_, (time_s, power_w) in enumerate(pieces(mode.power.series)):
            axes.plot(
                time_s,
                power_w,
                MODE_DASHES[name],
                color=MODE_COLOURS[name],
                marker=MODE_MARKERS[name],
                ms=3,
                lw=1.2,
                label=mode_words(name) if number_ == 0 else None,
            )
    if result.meter.idle_w is not None:
        axes.axhline(result.meter.idle_w, color=MUTED, lw=1, ls=(0, (6, 3)), label="idle before")
    if result.meter.source == "estimated":
        axes.text(
            0.5,
            0.5,
            "estimated, not measured",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=13,
            color=MUTED,
            alpha=0.8,
        )
    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
    axes.set_xlabel("s")
    axes.set_ylabel(f"W ({result.meter.source})", color=INK)
    figure.legend(loc="outside upper left", ncols=4)
