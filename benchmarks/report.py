"""What every report of the benchmark has in common.

A report is one JSON object: `schema`, `kind`, when and on what machine it was measured, then the
figures of every round and their summary. Every figure's name carries its unit (`_ms`, `_s`, `_w`,
`_hz`, `_mib`, `_percent`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.environment import Environment

SCHEMA: Final = "edge_pose.bench/2"
READABLE: Final = ("edge_pose.bench/1", SCHEMA)
"""Schema 2 adds kinds; those that schema 1 had are the same in both."""


class Table(BaseModel):
    """A part of a report: no unknown keys, never changed after it was made, no NaN."""

    # "model_load_s" is a fine name; pydantic before 2.10 warns of it.
    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


class Spread(Table):
    """One figure over all rounds."""

    median: float
    min: float
    max: float


class Report(Table):
    """The head of every report."""

    schema_: Literal["edge_pose.bench/1", "edge_pose.bench/2"] = Field(SCHEMA, alias="schema")
    kind: str
    created_at: datetime
    environment: Environment


def spread(values: Iterable[float]) -> Spread:
    """Return median, smallest and largest of at least one value."""
    kept = list(values)
    return Spread(median=statistics.median(kept), min=min(kept), max=max(kept))
