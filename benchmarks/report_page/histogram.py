"""How long frames took, in every mode."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.device_files import Named
from benchmarks.figure_text import mode_words, number
from benchmarks.named_figures import END_TO_END
from benchmarks.report_page.picture import INK, MODE_COLOURS, MUTED, Picture, draw
from benchmarks.result import FixedRate, Mode

LINES = {"p50": "-", "p95": "--", "p99": ":"}


def latency_histogram(key: str, one: Named) -> Picture:
    """Return the histograms of all modes, below each other."""
    modes = one.result.modes
    listed = "; ".join(f"{mode_words(name)}: {_words(mode)}" for name, mode in modes.items())
    return draw(
        key,
        0.45 + 1.45 * len(modes),
        "Latency",
        "Frames by end-to-end latency, capture to published. The hatched bar holds everything"
        " slower than the axis reaches."
        + (" Thick line: the camera's deadline." if "fixed_rate" in modes else ""),
        f"Histograms of end-to-end latency. {listed}.",
        lambda figure: _paint(figure, modes),
    )


def _words(mode: Mode) -> str:
    latency = mode.latency[END_TO_END]
    figures = (f"{name} {number(getattr(latency, f'{name}_ms').mean)} ms" for name in LINES)
    return f"{', '.join(figures)}, largest {number(latency.max_ms)} ms"


def _paint(figure: Any, modes: dict[str, Mode]) -> None:  # noqa: ANN401 - matplotlib has no types
    for axes, (name, mode) in zip(
        figure.subplots(len(modes), squeeze=False)[:, 0], modes.items(), strict=True
    ):
        _panel(axes, mode, MODE_COLOURS[name])
        axes.set_title(mode_words(name), loc="left", fontsize=9)
    axes.set_xlabel("ms")
    figure.supylabel("frames", fontsize=9)


def _panel(axes: Any, mode: Mode, colour: str) -> None:  # noqa: ANN401
    edges, counts = mode.histogram.edges_ms, mode.histogram.counts
    widths = [high - low for low, high in pairwise(edges)]
    shown = widths[0] if len(widths) > 1 else widths[-1]
    axes.bar(edges[:-2], counts[:-1], widths[:-1], align="edge", color=colour, lw=0)
    # The last bin reaches to the slowest frame: it is drawn as wide as the others.
    axes.bar(
        edges[-2],
        counts[-1],
        shown,
        align="edge",
        color="white",
        edgecolor=colour,
        hatch="////",
        lw=0.8,
    )
    end = edges[-2] + shown
    slowest = f"to {number(edges[-1])}"
    axes.annotate(
        slowest,
        (end, 0),
        (3, 4),
        textcoords="offset points",
        fontsize=8,
        color=MUTED,
        annotation_clip=False,
    )
    latency = mode.latency[END_TO_END]
    for name, dashes in LINES.items():
        value = getattr(latency, f"{name}_ms").mean
        label = f"{name} {number(value)} ms"
        axes.axvline(min(value, end), color=INK, lw=1, ls=dashes, label=label)
    axes.legend(
        ncols=3,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderpad=0.1,
        handlelength=1.5,
        columnspacing=1.2,
    )
    if isinstance(mode, FixedRate) and 1e3 / mode.rate_hz < end:
        axes.axvline(1e3 / mode.rate_hz, color=INK, lw=2.5, alpha=0.55)
    axes.margins(x=0.02)
    axes.grid(visible=False, axis="x")
