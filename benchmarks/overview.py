"""The most important figures of several results, one row each: for Markdown and the HTML report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.device_files import Named
from benchmarks.figure_text import LOST, mode_words, value_text
from benchmarks.named_figures import Figure, named_figures, short_names
from benchmarks.result import DeviceResult

HEAD = (
    "result",
    "device",
    "artifact",
    "format",
    "threads",
    "accuracy, %",
    "FPS",
    "p50, ms",
    "p95, ms",
    "W",
    "mJ/frame",
    "AE",
    "power",
)
FIGURES = ("accuracy", "fps", "latency_p50", "latency_p95", "power", "energy", "ae")
OF_POWER = ("power", "energy", "ae")
FIRST_FIGURE = HEAD.index("accuracy, %")
NOTE = (
    "Mean ± 95 % confidence over the repeats. FPS, W, mJ/frame and AE (accuracy × FPS / W):"
    " {speed}. p50, p95: end-to-end latency, {latency}."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One row.

    Attributes:
        cells: as HEAD.
        estimated: the power is no measurement.
        invalid: why the result does not count; empty where it does.
    """

    cells: tuple[str, ...]
    estimated: bool
    invalid: tuple[str, ...]


def overview(results: Sequence[Named]) -> list[Line]:
    """Return one row for each result, in their order."""
    return [_line(one) for one in results]


def note(results: Sequence[Named]) -> str:
    """Return what the columns are, in one or two sentences."""
    chosen = [_chosen(one.result) for one in results]
    return NOTE.format(
        speed=_modes(chosen, lambda figures: figures["fps"]),
        latency=_modes(chosen, lambda figures: figures["latency_p50"]),
    )


def accuracy_text(result: DeviceResult) -> str:
    """Return accuracy with data set, metric and n."""
    known = result.artifact.accuracy
    if known is None:
        return "accuracy not known: no gate report"
    return f"{known.percent:.1f} {known.metric} on {known.dataset}, n = {known.n_persons}"


def _line(one: Named) -> Line:
    result, figures = one.result, _chosen(one.result)
    artifact, meter = result.artifact, result.meter
    lost = set() if result.modes[figures["fps"].mode].power.known else set(OF_POWER)
    if artifact.accuracy is None:
        lost.discard("ae")  # there would be none anyway

    def cell(name: str) -> str:
        absent = LOST if name in lost else "–"
        return value_text(figures[name]) if name in figures else absent

    return Line(
        cells=(
            one.name,
            result.device.profile,
            artifact.name,
            f"{artifact.format} {artifact.precision}",
            str(result.setup.threads),
            *map(cell, FIGURES),
            f"{meter.source}, {meter.scope}",
        ),
        estimated=meter.source == "estimated",
        invalid=result.validity.reasons,
    )


def _chosen(result: DeviceResult) -> dict[str, Figure]:
    """Return the figures by short name; those of power belong to the mode of the FPS beside."""
    figures = named_figures(result)
    full = short_names(figures)
    mode = figures[full["fps"]].mode
    full |= {name: f"{mode}.{name}" for name in OF_POWER}
    return {name: figures[full[name]] for name in FIGURES if full.get(name) in figures}


def _modes(chosen: Sequence[dict[str, Figure]], pick: Callable[[dict[str, Figure]], Figure]) -> str:
    return ", ".join(dict.fromkeys(mode_words(pick(figures).mode) for figures in chosen))
