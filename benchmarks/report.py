"""What every report of the benchmark has in common.

A report is one JSON object: `schema`, `kind`, when and on what machine it was measured, then the
figures of every round and their summary. Times are in ms where the name says so, else in seconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.environment import Environment

SCHEMA: Final = "edge_pose.bench/1"


class Table(BaseModel):
    """A part of a report: no unknown keys, never changed after it was made."""

    # "model_load_s" is a fine name; pydantic before 2.10 warns of it.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Spread(Table):
    """One figure over all rounds."""

    median: float
    min: float
    max: float


class Report(Table):
    """The head of every report."""

    schema_: Literal["edge_pose.bench/1"] = Field(SCHEMA, alias="schema")
    kind: str
    created_at: datetime
    environment: Environment


def spread(values: Iterable[float]) -> Spread:
    """Return median, smallest and largest of at least one value."""
    kept = list(values)
    return Spread(median=statistics.median(kept), min=min(kept), max=max(kept))
