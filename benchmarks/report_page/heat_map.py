"""Devices by precision: what runs where, how fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.device_files import Named
from benchmarks.figure_text import mode_words, number
from benchmarks.named_figures import OTHER_MODES, preferred
from benchmarks.report_page.picture import GRID, MUTED, Picture, draw
from benchmarks.result import DeviceResult, Mode

DARK = 0.6  # of the colour scale: words on it are white from here on

Cells = dict[tuple[str, str], DeviceResult]


def heat_maps(results: Sequence[Named]) -> list[Picture]:
    """Return one picture per model, that is per network whatever its precision."""
    models: dict[str, list[DeviceResult]] = {}
    for one in results:
        models.setdefault(model_name(one.result), []).append(one.result)
    speeds = [_mode(one.result).fps.mean for one in results]
    ends = (min(speeds) / 2.0, max(speeds) * 1.5)  # one scale for all pictures
    return [
        _heat_map(f"heat{n}", model, fastest(found), ends)
        for n, (model, found) in enumerate(models.items(), start=1)
    ]


def model_name(result: DeviceResult) -> str:
    """Return the artifact's name without its precision."""
    return result.artifact.name.removesuffix(f"_{result.artifact.precision}")


def fastest(results: Iterable[DeviceResult]) -> Cells:
    """Return the fastest valid result by device and precision; an invalid one where none is."""
    found: Cells = {}
    for result in results:
        key = (result.device.profile, result.artifact.precision)
        best = found.get(key)
        if best is None or _rank(result) > _rank(best):
            found[key] = result
    return found


def _rank(result: DeviceResult) -> tuple[bool, float]:
    return result.validity.valid, _mode(result).fps.mean


def _mode(result: DeviceResult) -> Mode:
    return preferred(result, OTHER_MODES)[1]


def _heat_map(key: str, model: str, cells: Cells, speeds: tuple[float, float]) -> Picture:
    devices = list(dict.fromkeys(device for device, _ in cells))
    precisions = list(dict.fromkeys(precision for _, precision in cells))
    listed = "; ".join(
        f"{device} {precision}: {_words(result)}" for (device, precision), result in cells.items()
    )
    modes = dict.fromkeys(mode_words(preferred(r, OTHER_MODES)[0]) for r in cells.values())
    return draw(
        key,
        1.0 + 0.62 * len(devices),
        f"{model}: device × precision",
        f"FPS, {', '.join(modes)}, of the fastest runtime; below it accuracy × FPS / W (AE), ~"
        " where power is estimated. AE compares only where the meter is the same.",
        f"Heat map of frames per second by device and precision. {listed}.",
        lambda figure: _paint(figure, devices, precisions, cells, speeds),
    )


def _words(result: DeviceResult) -> str:
    lines = [f"{number(_mode(result).fps.mean)} FPS"]
    ae = _mode(result).power.accuracy_fps_per_watt
    if ae is not None:
        lines.append(f"{'~' * (result.meter.source == 'estimated')}{number(ae.mean)} AE")
    return ", ".join(lines) + ("" if result.validity.valid else ", INVALID")


def _paint(
    figure: Any,  # noqa: ANN401 - matplotlib has no types
    devices: list[str],
    precisions: list[str],
    cells: Cells,
    speeds: tuple[float, float],
) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    axes = figure.subplots()
    axes.grid(visible=False)
    scale, colours = LogNorm(*speeds), colormaps["Blues"]
    for row, device in enumerate(devices):
        for column, precision in enumerate(precisions):
            result = cells.get((device, precision))
            place = (column - 0.5, row - 0.5)
            if result is None:
                empty: dict[str, Any] = {"fc": "white", "ec": GRID, "hatch": "////"}
                axes.add_patch(Rectangle(place, 1, 1, **empty))
                words, colour = "not measured", MUTED
            else:
                share = float(scale(_mode(result).fps.mean))
                axes.add_patch(Rectangle(place, 1, 1, fc=colours(share), ec="white", lw=2))
                words, colour = _words(result), "white" if share > DARK else "black"
            axes.text(
                column,
                row,
                words.replace(", ", "\n"),
                ha="center",
                va="center",
                color=colour,
                fontsize=8.5,
            )
    axes.set_xlim(-0.5, len(precisions) - 0.5)
    axes.set_ylim(len(devices) - 0.5, -0.5)
    axes.set_xticks(range(len(precisions)), precisions)
    axes.set_yticks(range(len(devices)), devices)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
