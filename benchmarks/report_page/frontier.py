"""Accuracy against latency: what is worth its time, and what another one beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.device_files import Named
from benchmarks.figure_text import mode_words, number
from benchmarks.likeness import Aspect, check_alike
from benchmarks.named_figures import END_TO_END, LATENCY_MODES, preferred
from benchmarks.report_page.picture import INK, Picture, draw

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
COLOURS = ("#006BA4", "#C85200", "#595959", "#5F9ED1", "#898989")
ASPECTS: tuple[Aspect, ...] = ("accuracy", "speed")
LETTER = 0.017, 0.045  # width and height of a name's letter, as parts of the axes
DECADE = 8.0  # latencies that differ by more are shown on a logarithmic axis


class Point(NamedTuple):
    """One result; latency in ms, accuracy in percent."""

    name: str
    device: str
    latency_ms: float
    error_ms: float
    percent: float
    valid: bool


def frontiers(results: Sequence[Named]) -> list[Picture]:
    """Return one picture for each group of results whose accuracy and latency compare."""
    known = [one for one in results if one.result.artifact.accuracy is not None]
    return [_frontier(f"frontier{n}", group) for n, group in enumerate(like(known), start=1)]


def like(results: Sequence[Named]) -> list[list[Named]]:
    """Return groups of results with the same data set, metric, persons, clip and modes."""
    groups: list[list[Named]] = []
    for one in results:
        for group in groups:
            first = group[0].result
            if not check_alike(first, one.result, aspects=ASPECTS, other_machine=True):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def pareto(points: Sequence[Point], device: str) -> list[Point]:
    """Return a device's valid points that none of its others beats, the fastest first."""
    best: list[Point] = []
    known = [point for point in points if point.device == device]
    for point in sorted(known, key=lambda p: (p.latency_ms, -p.percent)):
        if point.valid and (not best or point.percent > best[-1].percent):
            best.append(point)
    return best


def _point(one: Named) -> Point:
    accuracy = one.result.artifact.accuracy
    assert accuracy is not None  # noqa: S101 - frontiers() leaves the others out
    latency = preferred(one.result, LATENCY_MODES)[1].latency[END_TO_END].p50_ms
    return Point(
        one.name,
        one.result.device.profile,
        latency.mean,
        latency.half_width,
        accuracy.percent,
        one.result.validity.valid,
    )


def _frontier(key: str, group: Sequence[Named]) -> Picture:
    points = [_point(one) for one in group]
    first = group[0].result
    accuracy = first.artifact.accuracy
    assert accuracy is not None  # noqa: S101 - as above
    mode = mode_words(preferred(first, LATENCY_MODES)[0])
    best = [p for device in dict.fromkeys(p.device for p in points) for p in pareto(points, device)]
    listed = "; ".join(
        f"{p.name}: {p.percent:.1f} % at {number(p.latency_ms)} ms"
        + (", on the frontier" if p in best else "")
        + ("" if p.valid else ", invalid")
        for p in points
    )
    data = f"{accuracy.metric} on {accuracy.dataset}, n = {accuracy.n_persons}"
    return draw(
        key,
        3.5,
        "Accuracy against latency",
        f"{data}; median end-to-end latency, {mode}, with its 95 % confidence. Up and to the left"
        " is better; what is below its device's line is beaten in both. Hollow: invalid.",
        f"Scatter of accuracy against median latency. {listed}.",
        lambda figure: _paint(figure, points, accuracy.metric),
    )


def _paint(figure: Any, points: Sequence[Point], metric: str) -> None:  # noqa: ANN401
    axes = figure.subplots()
    fastest, slowest = (f(p.latency_ms for p in points) for f in (min, max))
    if slowest > DECADE * fastest > 0:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    devices = list(dict.fromkeys(p.device for p in points))
    for number_, device in enumerate(devices):
        _device(axes, [p for p in points if p.device == device], number_)
    axes.margins(x=0.22, y=0.18)
    if axes.get_xlim()[0] < 0 and axes.get_xscale() == "linear":
        axes.set_xlim(left=0)
    _names(axes, points)
    axes.set_xlabel("median latency, ms")
    axes.set_ylabel(f"{metric}, %")
    if len(devices) > 1:
        figure.legend(loc="outside upper left", ncols=3)


def _names(axes: Any, points: Sequence[Point]) -> None:  # noqa: ANN401
    """Write each name beside its point, above the names that are there already."""
    to_axes = axes.transData + axes.transAxes.inverted()
    taken: list[tuple[float, float]] = []
    for p in sorted(points, key=lambda p: p.latency_ms):
        x, y = to_axes.transform((p.latency_ms, p.percent))
        while any(x < end and abs(y - low) < 0.9 * LETTER[1] for end, low in taken):
            y += LETTER[1]
        taken.append((x + LETTER[0] * len(p.name), y))
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(p.name, (x, y), (6, 5), fontsize=8, color=INK, **place)


def _device(axes: Any, points: Sequence[Point], number_: int) -> None:  # noqa: ANN401
    colour, marker = COLOURS[number_ % len(COLOURS)], MARKERS[number_ % len(MARKERS)]
    best = pareto(points, points[0].device)
    # A staircase: between two results nothing is known to be better than the faster one.
    stairs = [p.latency_ms for p in best], [p.percent for p in best]
    axes.step(*stairs, where="post", color=colour, lw=1.2, zorder=1)
    for valid in (True, False):
        chosen = [p for p in points if p.valid == valid]
        if not chosen:
            continue
        axes.errorbar(
            [p.latency_ms for p in chosen],
            [p.percent for p in chosen],
            # A logarithmic axis has no place for what reaches below zero.
            xerr=[
                [min(p.error_ms, 0.95 * p.latency_ms) for p in chosen],
                [p.error_ms for p in chosen],
            ],
            fmt=marker,
            color=colour,
            mfc=colour if valid else "white",
            ms=7,
            elinewidth=1,
            label=chosen[0].device if valid or len(chosen) == len(points) else None,
        )
