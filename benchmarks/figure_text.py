"""Figures in words: about three digits, in the unit that people read them in."""

from __future__ import annotations

import math

from benchmarks.interval import Interval
from benchmarks.named_figures import Figure

# What is stored -> what is shown, and by how much the number grows.
SHOWN: dict[str, tuple[str, float]] = {"J": ("mJ", 1e3), "B": ("MB", 1e-6)}

MOST_DECIMALS = 6
LOST = "LOST"  # instead of a power, where the meter went away

WORDS: dict[str, str] = {
    "accuracy": "accuracy",
    "ae": "accuracy × FPS / W",
    "bare": "network alone",
    "cpu": "CPU, of one core",
    "energy": "energy per frame",
    "energy_above_idle": "energy above idle",
    "estimator": "estimator on ready frames",
    "fps": "FPS",
    "idle_power": "idle power",
    "load": "load of the artifact",
    "macs": "multiply-accumulates",
    "memory": "memory",
    "misses": "deadlines missed",
    "network": "network alone",
    "overhead": "pipeline / network alone",
    "pipeline": "whole pipeline",
    "power": "power",
    "read_clip": "reading the clip alone",
    "size": "size of the artifact",
}
MODE_WORDS: dict[str, str] = {
    "offline": "offline",
    "single_stream": "single stream",
    "fixed_rate": "fixed rate",
    "parts": "the parts alone",
}


def number(value: float) -> str:
    """Return a number with three digits, with all of them above 1000; never an exponent."""
    return _fixed(value, _decimals(value, digits=3))


def with_error(value: float, error: float) -> str:
    """Return value ± error: three digits of the value, fewer where the error is large.

    More where the error would be a mere 0: 24.97 ± 0.08.
    """
    decimals = min(_decimals(value, digits=3), _decimals(error, digits=2))
    if error > 0:
        decimals = max(decimals, min(_decimals(error, digits=1), _decimals(value, digits=5)))
    return f"{_fixed(value, decimals)} ± {_fixed(error, decimals)}"


def _decimals(value: float, digits: int) -> int:
    if value == 0:
        return MOST_DECIMALS
    return min(max(0, digits - 1 - math.floor(math.log10(abs(value)))), MOST_DECIMALS)


def _fixed(value: float, decimals: int) -> str:
    if value == 0:
        return "0"
    text = f"{value:,.{decimals}f}".replace(",", "\N{THIN SPACE}")
    return text.removeprefix("-") if not text.strip("-0.") else text


def shown_unit(figure: Figure) -> str:
    """Return the unit in which a figure is shown."""
    return SHOWN.get(figure.unit, (figure.unit, 1.0))[0]


def scaled(figure: Figure, value: float) -> float:
    """Return a value of this figure in the unit in which it is shown."""
    return value * SHOWN.get(figure.unit, ("", 1.0))[1]


def value_text(figure: Figure) -> str:
    """Return mean ± half of the 95 % confidence interval, where there is one, without the unit."""
    return interval_text(figure.value, SHOWN.get(figure.unit, ("", 1.0))[1])


def interval_text(value: Interval, factor: float = 1.0) -> str:
    """Return the same for any interval, times a factor."""
    if value.high is None:
        return number(value.mean * factor)
    return with_error(value.mean * factor, value.half_width * factor)


def figure_words(figure: Figure) -> str:
    """Return a figure's name in words, without its mode."""
    short = figure.short_name
    if short in WORDS:
        return WORDS[short]
    what, _, statistic = short.rpartition("_")
    return f"{what.replace('_', ' ')} {statistic}"


def mode_words(mode: str) -> str:
    """Return a mode's name in words."""
    if mode.startswith("threads_"):
        count = mode.removeprefix("threads_")
        return f"{count} inference thread{'' if count == '1' else 's'}"
    return MODE_WORDS.get(mode, mode)
