"""Figures that the documents print, as data, to stand beside our own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_pose.config import read_toml

FOLDER = Path(__file__).parent
GROUPS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


@dataclass(frozen=True, slots=True)
class Table1Row:
    """One row of Table 1 of "To Perceive or Not to Perceive" (https://arxiv.org/abs/2302.04815).

    Attributes:
        key: short name of the row.
        title: the document's.
        model: registry name of the network.
        perceptual: whether the row is trained with the perceptual loss.
        pckh: percent, by joint group and "mean".
        minutes: training time; None where the document prints none.
        madds_g: operations, 1e9; None where the document prints none.
        params_m: parameters, 1e6.
        weighted_mean: percent; None where the document prints none.
        note: what does not follow from the document's other figures; may be empty.
    """

    key: str
    title: str
    model: str
    perceptual: bool
    pckh: dict[str, float]
    minutes: int | None
    madds_g: float | None
    params_m: float
    weighted_mean: float | None
    note: str


def table1() -> tuple[Table1Row, ...]:
    """Return the rows in the document's order."""
    rows: list[dict[str, Any]] = read_toml(FOLDER / "table1.toml")["rows"]
    return tuple(
        Table1Row(
            key=row["key"],
            title=row["title"],
            model=row["model"],
            perceptual=row.get("perceptual", False),
            pckh=dict(zip((*GROUPS, "mean"), row["pckh"], strict=True)),
            minutes=row.get("minutes"),
            madds_g=row.get("madds_g"),
            params_m=row["params_m"],
            weighted_mean=row.get("weighted_mean"),
            note=row.get("note", ""),
        )
        for row in rows
    )
