"""Units that a condition may be written in."""

from __future__ import annotations

# Unit -> (what it measures, how many of the first unit with that it is).
UNITS: dict[str, tuple[str, float]] = {
    "s": ("time", 1.0),
    "ms": ("time", 1e-3),
    "us": ("time", 1e-6),
    "FPS": ("rate", 1.0),
    "W": ("power", 1.0),
    "mW": ("power", 1e-3),
    "J": ("energy", 1.0),
    "mJ": ("energy", 1e-3),
    "%": ("percent", 1.0),
    "pp": ("percent", 1.0),
    "B": ("memory", 1.0),
    "MB": ("memory", 1e6),
    "MiB": ("memory", 1024.0**2),
    "GiB": ("memory", 1024.0**3),
}


def units_like(unit: str) -> list[str]:
    """Return every unit that the same thing may be given in."""
    if unit not in UNITS:
        return []
    return [name for name, (what, _) in UNITS.items() if what == UNITS[unit][0]]


def factor(unit: str, to: str) -> float:
    """Return how many of the unit `to` one of `unit` is; both measure the same."""
    return UNITS[unit][1] / UNITS[to][1]
