"""Table 1 of the hourglass document with its weighted mean computed again, and ours beside it.

Read from what `edge-pose-train table1` writes, which holds the document's figures and ours.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.report import Table
from edge_pose.config import first_error
from edge_pose.errors import UsageError
from edge_pose.metrics.merit import weighted_mean

BASELINE = "2hg"
TOLERANCE = 0.005  # the document prints two decimals
METRIC, DATASET, DOCUMENT_PERSONS = "PCKh@0.5", "mpii", 2958


class _Part(BaseModel):
    """What is read of a part of the file."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Pckh(_Part):
    mean: float


class _Published(_Part):
    key: str
    title: str
    model: str
    pckh: _Pckh
    madds_g: float | None
    params_m: float
    weighted_mean: float | None
    note: str = ""


class _Ours(_Part):
    pckh: _Pckh
    persons: int = Field(ge=1)
    params: int = Field(gt=0)
    madds: int = Field(gt=0)
    weighted_mean: float | None


class _Row(_Part):
    published: _Published
    ours: _Ours


class _File(_Part):
    schema_: Literal["edge_pose.table1/1"] = Field(alias="schema")
    rows: tuple[_Row, ...] = Field(min_length=1)
    differences: tuple[str, ...]


class MeanRow(Table):
    """One row."""

    key: str
    title: str
    pckh: float
    madds_g: float | None
    params_m: float
    printed: float | None = Field(description="weighted mean, percent")
    computed: float | None = Field(description="the same from the other columns")
    follows: bool | None = Field(description="None: nothing to compare")
    note: str
    ours_pckh: float
    ours_persons: int
    ours_weighted_mean: float | None


class Table1(Table):
    """All rows."""

    metric: str = METRIC
    dataset: str = DATASET
    document_persons: int = DOCUMENT_PERSONS
    rows: tuple[MeanRow, ...]
    unlike: tuple[str, ...] = Field(description="why ours do not compare with the document's")

    @property
    def following(self) -> int:
        """Rows whose printed weighted mean follows from the other columns."""
        return sum(row.follows is True for row in self.rows)

    @property
    def compared(self) -> int:
        """Rows where there is something to compare."""
        return sum(row.follows is not None for row in self.rows)


def read_table1(file: Path) -> Table1:
    """Read the file.

    Raises:
        UsageError: it cannot be read, is none of these files, or misses something.
    """
    try:
        values: Any = json.loads(file.read_text("utf-8"))
        found = _File.model_validate(values)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(f"{file}: {first_error(error)}") from None
    except ValueError as error:
        raise UsageError(f"{file}: not valid JSON: {error}") from None
    rows = {row.published.key: row for row in found.rows}
    base = rows.get(BASELINE)
    notes = {f"{row.published.title}: {row.published.note}" for row in found.rows}
    return Table1(
        rows=tuple(_row(row, base) for row in found.rows),
        unlike=tuple(line for line in found.differences if line not in notes),
    )


def _row(row: _Row, base: _Row | None) -> MeanRow:
    theirs, ours = row.published, row.ours
    computed = None if base is None else _computed(theirs, base)
    printed = theirs.weighted_mean
    return MeanRow(
        key=theirs.key,
        title=theirs.title,
        pckh=theirs.pckh.mean,
        madds_g=theirs.madds_g,
        params_m=theirs.params_m,
        printed=printed,
        computed=computed,
        follows=(
            None if printed is None or computed is None else abs(printed - computed) <= TOLERANCE
        ),
        note=theirs.note,
        ours_pckh=ours.pckh.mean,
        ours_persons=ours.persons,
        ours_weighted_mean=ours.weighted_mean,
    )


def _computed(row: _Published, base: _Row) -> float | None:
    """Return the weighted mean from the document's other columns."""
    baseline = base.published
    if row.madds_g is None or baseline.madds_g is None or row.key == baseline.key:
        return None
    # The document cuts parameters, the baseline's after one digit where most rows have two; its
    # means follow from two.
    base_m = math.floor(base.ours.params / 1e4) / 100
    params_m = base_m if row.model == baseline.model else row.params_m
    reference = (baseline.pckh.mean, baseline.madds_g, base_m)
    return weighted_mean(row.pckh.mean, row.madds_g, params_m, reference)
