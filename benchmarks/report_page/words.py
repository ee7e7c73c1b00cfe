"""What the page says of one result, besides pictures."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.figure_text import (
    figure_words,
    interval_text,
    mode_words,
    number,
    shown_unit,
    value_text,
)
from benchmarks.named_figures import STATISTICS, Figure, named_figures, short_names
from benchmarks.overview import FIGURES, accuracy_text
from benchmarks.result import DeviceResult, FixedRate, MachineState

ESTIMATED = ("power", "energy", "energy_above_idle", "ae")


class Fact(NamedTuple):
    """A name, what it is, and a remark; a figure's error apart."""

    name: str
    value: str
    remark: str = ""
    error: str = ""


class Grid(NamedTuple):
    """A table: names of the columns, then groups of rows whose first cell is their name."""

    head: tuple[str, ...]
    groups: dict[str, list[tuple[str, ...]]]


def key_figures(result: DeviceResult) -> list[Fact]:
    """Return the figures that stand at the top."""
    figures = named_figures(result)
    short = short_names(figures)
    chosen = [figures[short[name]] for name in FIGURES if name in short]
    return [_key_figure(result, figure) for figure in chosen]


def _key_figure(result: DeviceResult, figure: Figure) -> Fact:
    unit = shown_unit(figure)
    value, _, error = value_text(figure).partition(" ± ")
    value += f" {unit}" if unit not in ("", "FPS") else ""
    if figure.name == "accuracy":
        return Fact(figure_words(figure), value, accuracy_text(result).partition(" ")[2])
    remark = mode_words(figure.mode)
    if figure.short_name in ESTIMATED:
        remark += f", power {result.meter.source}"
    return Fact(figure_words(figure), value, remark, f"± {error}" if error else "")


def mode_grid(result: DeviceResult) -> Grid:
    """Return the figures of the modes beside each other."""
    figures = named_figures(result)
    shorts = dict.fromkeys(
        figure.short_name
        for figure in figures.values()
        if figure.mode in result.modes and not _of_a_stage(figure)
    )
    rows = [
        (
            _label(result, next(f for f in figures.values() if f.short_name == short)),
            *(_cell(figures, f"{mode}.{short}") for mode in result.modes),
        )
        for short in shorts
    ]
    head = ("", *(_mode_title(result, name) for name in result.modes))
    return Grid(head, {"": rows})


def stage_grid(result: DeviceResult) -> Grid:
    """Return every statistic of every stage and mode, ms."""
    figures = named_figures(result)
    groups = {
        f"{mode_words(name)}, ms": [
            (
                stage.replace("_", " "),
                *(
                    _cell(figures, f"{name}.{'latency' if stage == 'end_to_end' else stage}_{one}")
                    for one in STATISTICS
                ),
            )
            for stage in mode.latency
        ]
        for name, mode in result.modes.items()
    }
    return Grid(("", *STATISTICS), groups)


def sweep_grid(result: DeviceResult) -> Grid | None:
    """Return the figures with other numbers of inference threads; None where there are none."""
    if not result.threads_sweep:
        return None
    rows: list[tuple[str, ...]] = [
        (str(point.threads), interval_text(point.network_ms), interval_text(point.fps))
        for point in result.threads_sweep
    ]
    return Grid(("threads", "network alone, ms", "FPS, offline"), {"": rows})


def facts(result: DeviceResult) -> dict[str, list[Fact]]:
    """Return what was run on what, by heading."""
    return {
        "What was run": _what(result),
        "Where": _where(result),
        "How": _how(result),
    }


def _what(result: DeviceResult) -> list[Fact]:
    artifact, source = result.artifact, result.source
    rate = f" at {source.frame_rate:g} FPS" if source.frame_rate else ""
    found = [
        Fact("artifact", artifact.name, f"sha256 {artifact.sha256[:16]}…"),
        Fact("accuracy", accuracy_text(result)),
        Fact("format", f"{artifact.format} {artifact.precision}", _size(result)),
        Fact("input", "×".join(str(side) for side in artifact.input_size) + " px", artifact.task),
        Fact(
            "runtime",
            f"{artifact.backend} {artifact.backend_version} on {artifact.backend_device}",
            f"{result.setup.threads} inference thread{'s' * (result.setup.threads > 1)}",
        ),
    ]
    if result.detector is not None:
        found.append(Fact("people found by", result.detector.name))
    clip = f"{source.frames} frames, {source.width}×{source.height}{rate}"
    return [*found, Fact("source", source.name, clip)]


def _size(result: DeviceResult) -> str:
    artifact = result.artifact
    return (
        f"{number(artifact.size_bytes / 1e6)} MB, {number(artifact.params / 1e6)} M parameters,"
        f" {number(artifact.macs / 1e9)} GMAC"
    )


def _where(result: DeviceResult) -> list[Fact]:
    environment, device = result.environment, result.device
    cores = f"{environment.cores_available} of {environment.cores} cores"
    memory = f", {environment.memory_mib} MiB" if environment.memory_mib else ""
    libraries = ", ".join(f"{name} {version}" for name, version in environment.libraries.items())
    found = [
        Fact("device", device.profile, device.description),
        Fact("machine", environment.cpu_model or environment.machine, f"{cores}{memory}"),
        Fact("system", f"{environment.system} {environment.kernel}", environment.machine),
        Fact("Python", environment.python, libraries),
    ]
    if device.budget_w is not None:
        found.append(Fact("power budget", f"{number(device.budget_w)} W"))
    before, after = result.machine.before, result.machine.after
    for name, text in (("before", _state(before)), ("after", _state(after))):
        found.append(Fact(f"machine {name}", text))
    throttled = result.machine.throttled
    held = "nothing tells" if throttled is None else ", ".join(throttled) or "no"
    return [*found, Fact("clocks held back", held)]


def _state(state: MachineState) -> str:
    found = [f"{zone} {celsius:.0f} °C" for zone, celsius in state.temperatures_c.items()]
    found += [f"{domain} {mhz:.0f} MHz" for domain, mhz in state.clocks_mhz.items()]
    found += [f"governor {state.governor}"] if state.governor else []
    found += ["turbo on" if state.turbo else "turbo off"] if state.turbo is not None else []
    return ", ".join(found) or "no sensor is readable"


def _how(result: DeviceResult) -> list[Fact]:
    meter, warm, validity = result.meter, result.warm_up, result.validity
    error = "no error stated" if meter.uncertainty_w is None else ""
    if meter.uncertainty_w is not None:
        kind = "sensor and sampling" if meter.sensor_known else "sampling only"
        error = f"± {number(meter.uncertainty_w)} W, {kind}"
    steady = "steady" if warm.steady else "NOT steady"
    found = [
        Fact("measured", f"{result.created_at:%Y-%m-%d %H:%M} UTC", f"{_repeats(result)}"),
        Fact("warm-up", f"{warm.discarded_frames} frames discarded", steady),
        Fact("load of the artifact", f"{number(warm.load_s)} s"),
        Fact("power", f"{meter.source}, {meter.name}, {meter.scope}", error),
    ]
    if meter.idle_w is not None:
        found.append(Fact("idle before", f"{number(meter.idle_w)} W", f"over {meter.idle_s:.1f} s"))
    found += [
        Fact(f"rail {rail}", f"{number(watts)} W", mode_words(mode))
        for mode, measured in list(result.modes.items())[:1]
        for rail, watts in measured.power.rails_w.items()
    ]
    if result.parts is not None:
        overhead = result.parts.summary.overhead.median
        found.append(Fact("pipeline / network alone", f"{number(overhead)}"))
    found.append(Fact("memory", f"{number(result.machine.rss_mib)} MiB at most"))
    limit = "" if validity.min_accuracy is None else f"at least {validity.min_accuracy:g} %"
    return [*found, Fact("division", validity.division, limit)]


def _repeats(result: DeviceResult) -> str:
    repeats = result.setup.repeats
    return f"{repeats} repeat{'s' * (repeats > 1)}"


def _label(result: DeviceResult, figure: Figure) -> str:
    words, unit = figure_words(figure), shown_unit(figure)
    words += f", {unit}" if unit not in ("", words) else ""
    if figure.short_name in ESTIMATED and result.meter.source == "estimated":
        words += " (estimated)"
    return words


def _cell(figures: dict[str, Figure], name: str) -> str:
    return value_text(figures[name]) if name in figures else "–"


def _of_a_stage(figure: Figure) -> bool:
    return figure.is_latency and not figure.short_name.startswith("latency_")


def _mode_title(result: DeviceResult, name: str) -> str:
    mode = result.modes[name]
    words = mode_words(name)
    return f"{words}, {mode.rate_hz:g} FPS" if isinstance(mode, FixedRate) else words
