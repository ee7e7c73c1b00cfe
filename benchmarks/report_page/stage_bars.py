"""Where the time of a frame goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.device_files import Named
from benchmarks.figure_text import mode_words, number
from benchmarks.named_figures import END_TO_END, LATENCY_MODES, preferred
from benchmarks.report_page.picture import INK, MODE_COLOURS, MUTED, Picture, draw
from benchmarks.result import Latency

COLOURS = ("#A2C8EC", "#5F9ED1", "#006BA4", "#FFBC79", "#FF800E", "#C85200", "#595959")
REST = "waiting"
LABEL = 0.09  # of the axis: a shorter part has no room for its number


def stage_bars(key: str, one: Named) -> Picture:
    """Return median, p95 and p99 of every stage of one result."""
    name, mode = preferred(one.result, LATENCY_MODES)
    stages = {stage: latency for stage, latency in mode.latency.items() if stage != END_TO_END}
    listed = "; ".join(
        f"{_title(stage)}: p50 {number(one.p50_ms.mean)}, p95 {number(one.p95_ms.mean)},"
        f" p99 {number(one.p99_ms.mean)} ms"
        for stage, one in stages.items()
    )
    return draw(
        key,
        0.8 + 0.34 * len(stages),
        "Stages",
        f"Time per frame and stage, {mode_words(name)}: the bar is the median, the line reaches to"
        " p95.",
        f"Bars of the time per stage. {listed}.",
        lambda figure: _paint_one(figure, stages, MODE_COLOURS[name]),
    )


def _paint_one(figure: Any, stages: dict[str, Latency], colour: str) -> None:  # noqa: ANN401
    axes, numbers = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    places = range(len(stages))
    p50, p95, p99 = (
        [getattr(one, f"{name}_ms").mean for one in stages.values()]
        for name in ("p50", "p95", "p99")
    )
    axes.barh(places, p50, 0.62, color=colour)
    axes.hlines(places, p50, p95, color=INK, lw=1.4)
    axes.plot(p95, places, "|", color=INK, ms=7, mew=1.4)
    numbers.set_axis_off()
    for right, title, values in ((0.3, "p50", p50), (0.65, "p95", p95), (1.0, "p99", p99)):
        numbers.text(right, -0.75, title, color=MUTED, fontsize=8, ha="right", va="center")
        for place, value in zip(places, values, strict=True):
            numbers.text(right, place, number(value), fontsize=8, ha="right", va="center")
    axes.set_yticks(places, [_title(stage) for stage in stages])
    axes.tick_params("y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms")


def shares(results: Sequence[Named]) -> Picture:
    """Return the mean time of every stage of several results, one bar each."""
    bars = {one.name: parts_ms(one) for one in results}
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{_title(stage)} {number(ms)} ms" for stage, ms in parts.items())
        for name, parts in bars.items()
    )
    modes = dict.fromkeys(mode_words(preferred(r.result, LATENCY_MODES)[0]) for r in results)
    return draw(
        "shares",
        1.15 + 0.38 * len(bars),
        "Where the time goes",
        f"Mean time per frame by stage, {', '.join(modes)}; together they are the end-to-end"
        " latency.",
        f"Stacked bars of the mean time per stage. {listed}.",
        lambda figure: _paint_all(figure, bars),
    )


def parts_ms(one: Named) -> dict[str, float]:
    """Return the mean time of each stage per frame, and what is left of the whole, ms."""
    mode = preferred(one.result, LATENCY_MODES)[1]
    whole = mode.latency[END_TO_END]
    # A stage that only some frames have, as detection, counts as often as it took place.
    found = {
        stage: latency.mean_ms.mean * latency.frames / whole.frames
        for stage, latency in mode.latency.items()
        if stage != END_TO_END
    }
    return {**found, REST: max(whole.mean_ms.mean - sum(found.values()), 0.0)}


def _paint_all(figure: Any, bars: dict[str, dict[str, float]]) -> None:  # noqa: ANN401
    axes = figure.subplots()
    stages = list(dict.fromkeys(stage for parts in bars.values() for stage in parts))
    stages.sort(key=lambda stage: stage == REST)
    longest = max(sum(parts.values()) for parts in bars.values())
    left = [0.0] * len(bars)
    for index, stage in enumerate(stages):
        widths = [parts.get(stage, 0.0) for parts in bars.values()]
        look: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "edgecolor": "white"}
        if stage == REST:
            look = {"color": "white", "edgecolor": "#898989", "hatch": "////"}
        drawn = axes.barh(list(bars), widths, 0.62, left, lw=0.8, label=_title(stage), **look)
        labels = [number(width) if width > LABEL * longest else "" for width in widths]
        dark = stage != REST and index % len(COLOURS) in (2, 5, 6)
        axes.bar_label(
            drawn,
            labels,
            label_type="center",
            fontsize=8,
            color="white" if dark else INK,
            bbox={"facecolor": "white", "lw": 0, "pad": 0.8} if stage == REST else None,
        )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.tick_params("y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms per frame")
    figure.legend(loc="outside upper left", ncols=4)


def _title(stage: str) -> str:
    return stage.replace("_", " ")
