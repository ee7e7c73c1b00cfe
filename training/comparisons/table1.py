"""Table 1 of "To Perceive or Not to Perceive" trained again: every row under one budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_pose.lookup import lookup
from edge_pose.metrics.merit import weighted_mean
from training.comparisons.rows import OurRow
from training.published import Table1Row, table1
from training.recipe import PerceptualConfig, Recipe, Stage

SCHEMA = "edge_pose.table1/1"
BASELINE = "2hg"


def choose_rows(names: Sequence[str]) -> tuple[Table1Row, ...]:
    """Return the rows of these keys in the document's order; all of them for no names.

    Raises:
        UsageError: no row has this key.
    """
    rows = {row.key: row for row in table1()}
    chosen = {lookup(rows, name, "row").key for name in names}
    return tuple(row for key, row in rows.items() if not chosen or key in chosen)


def row_recipe(base: Recipe, row: Table1Row, epochs: int, input_side: int) -> Recipe:
    """Return the recipe of one row."""
    sigma = base.stages[-1].sigma
    return base.model_copy(
        update={
            "model": row.model,
            "model_args": {},
            "init": "",
            "pretrained": False,
            "perceptual": PerceptualConfig() if row.perceptual else None,
            "stages": (Stage(epochs=epochs, input_side=input_side, sigma=sigma),),
        }
    )


def with_weighted_means(rows: Sequence[OurRow]) -> list[OurRow]:
    """Fill in the figure of merit where the baseline is among the rows."""
    base = {row.key: row for row in rows}.get(BASELINE)
    if base is None or base.pckh["mean"] == 0:
        return list(rows)
    reference = (base.pckh["mean"], base.madds, base.params)
    filled = []
    for row in rows:
        values = asdict(row)
        if row.key != BASELINE:
            mean = weighted_mean(row.pckh["mean"], row.madds, row.params, reference)
            values["weighted_mean"] = round(mean, 2)
        filled.append(OurRow(**values))
    return filled


def report(rows: Sequence[OurRow], recipe: Recipe, input_side: int) -> dict[str, Any]:
    """Return everything as JSON values."""
    published = {row.key: row for row in table1()}
    return {
        "schema": SCHEMA,
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "input_side": input_side,
        "rows": [
            {"published": asdict(published[row.key]), "ours": asdict(row)}
            for row in with_weighted_means(rows)
        ],
        "differences": differences(rows, input_side),
    }


def tradeoff_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what `training.pictures.tradeoff` draws of a report."""
    return [
        {
            "name": row["published"]["key"],
            "accuracy": row["ours"]["pckh"]["mean"],
            "params": row["ours"]["params"],
            "madds": row["ours"]["madds"] / 1e9,
            "group": "168 channels"
            if row["published"]["key"].startswith("168")
            else "256 channels",
        }
        for row in found["rows"]
    ]


def differences(rows: Sequence[OurRow], input_side: int) -> list[str]:
    """Say why our figures are not the document's."""
    seen = sorted({row.trained for row in rows})
    samples = " to ".join(f"{n:,}" for n in ([seen[0], seen[-1]] if len(seen) > 1 else seen))
    listed = {row.key for row in rows}
    notes = [f"{row.title}: {row.note}" for row in table1() if row.note and row.key in listed]
    return [
        f"Ours saw {samples} samples at {input_side} px; the document's 20 epochs of some 22,000"
        " persons at 256 px are 440,000.",
        f"Ours are measured on {rows[0].persons} validation persons, the document's on 2,958.",
        "Ours are decoded with the true scale of each person. The document's were decoded with the"
        " scale cut to an integer, which costs some 20 points in every row.",
        "Parameters and operations of ours are exact, at 256 px; the document cuts parameters to"
        " the printed digits.",
        "Where a row has the perceptual loss, ours teaches the earlier hourglass only: the later"
        " one's neck is its fixed target.",
        *notes,
    ]
