"""Tables that the documents print, as data; see benchmarks.reference.

Table 1 of the hourglass document is not here: training.published has it, and `edge-pose-train
table1` writes it beside ours into training/weights/table1.json.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import Field, ValidationError

from benchmarks.report import Table
from edge_pose.config import first_error, read_toml
from edge_pose.errors import UsageError

FILE = Path(__file__).with_name("accuracy_efficiency.toml")


class PrintedRow(Table):
    """One row, every figure with the digits that are printed."""

    model: str
    family: str = ""
    ap: Decimal = Field(gt=0, le=100, description="percent")
    fps: Decimal = Field(gt=0)
    efficiency: Decimal = Field(gt=0, description="FPS / W")
    ae: Decimal = Field(gt=0, description="AP × FPS / W")


class PrintedTable(Table):
    """The table of AE."""

    title: str
    metric: str
    dataset: str
    family: str = Field(description="of the rows that the document is about")
    rows: tuple[PrintedRow, ...] = Field(min_length=1)


def accuracy_efficiency(file: Path = FILE) -> PrintedTable:
    """Read the table of AE.

    Raises:
        UsageError: the file cannot be read, or a figure is missing or none.
    """
    try:
        return PrintedTable.model_validate(read_toml(file))
    except ValidationError as error:
        raise UsageError(f"{file}: {first_error(error)}") from None
