"""`edge-pose-train table1`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from training.commands.options import (
    data_option,
    device_kind,
    device_option,
    json_option,
    recipe_file,
)


@click.command("table1")
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--recipe", default="table1", show_default=True, help="The budget of every row.")
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--input-side", type=click.IntRange(64), default=128, show_default=True, help="px")
@click.option("--row", "names", multiple=True, help="Only this row; can be given again.")
@click.option("--limit", type=click.IntRange(1), help="Only so many persons, for a trial.")
@device_option
@json_option
def table1_command(
    data: Path,
    out: Path,
    recipe: str,
    epochs: int,
    input_side: int,
    names: tuple[str, ...],
    limit: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Train every row of the lightweight hourglass paper's Table 1 under one budget.

    Prints our figures beside the paper's and draws accuracy over operations. A table that was
    stopped goes on where it was; finished rows are kept. The paper's own budget:
    `--recipe s0_lightweight_hourglass --epochs 20 --input-side 256`.
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.comparisons.rows import train_rows
    from training.comparisons.table1 import choose_rows, report, row_recipe, tradeoff_rows
    from training.comparisons.table1_text import markdown
    from training.pictures.tradeoff import tradeoff_picture
    from training.recipe import load_recipe

    base = load_recipe(recipe_file(recipe))
    recipes = {row.key: row_recipe(base, row, epochs, input_side) for row in choose_rows(names)}
    with Progress(console=Console(stderr=True)) as progress:
        ours = train_rows(recipes, data, out, device_kind(device), progress, limit)
    found = report(ours, base, input_side)
    text = markdown(found)
    (out / "table1.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (out / "table1.md").write_text(text, "utf-8")
    tradeoff_picture(
        tradeoff_rows(found),
        out / "table1.png",
        cost_label="multiply-adds by the paper's rule at 256 px, G",
        accuracy_label=f"PCKh@0.5 at {input_side} px, %",
        title="Every row under one budget",
    )
    click.echo(json.dumps(found) if as_json else text)
