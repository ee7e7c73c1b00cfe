"""Figures of a run as event files, the format that TensorBoard reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

STEP = "step"


def write_events(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the numbers of one line of log.jsonl, at its step; tables become `name/key`.

    Each call writes a file of its own: a run that is killed leaves whole files.
    """
    from tensorboardX import SummaryWriter

    step = record[STEP]
    # Names hold the second of their making, and an epoch may be shorter than that.
    with SummaryWriter(str(folder), filename_suffix=f".{step}") as writer:
        for name, value in scalars(record):
            writer.add_scalar(name, value, step)


def scalars(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield (name, value) of all numbers in nested tables."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and key != STEP:
            yield f"{prefix}{key}", float(value)
