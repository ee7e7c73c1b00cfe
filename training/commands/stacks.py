"""`edge-pose-train stacks`."""

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


@click.command("stacks")
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--recipe", default="table1", show_default=True, help="The budget of every network.")
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--input-side", type=click.IntRange(64), default=128, show_default=True, help="px")
@click.option(
    "--width",
    type=click.IntRange(8),
    default=128,
    show_default=True,
    help="Channels in the blocks.",
)
@click.option("--limit", type=click.IntRange(1), help="Only so many persons, for a trial.")
@device_option
@json_option
def stacks_command(
    data: Path,
    out: Path,
    recipe: str,
    epochs: int,
    input_side: int,
    width: int,
    limit: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Train 2, 4 and 8 stacks of equal size, and measure every stage of each.

    The ablation of the stacked-hourglass paper. A comparison that was stopped goes on.
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.comparisons.rows import train_rows
    from training.comparisons.stacks import markdown, report, stack_recipes
    from training.recipe import load_recipe

    recipes = stack_recipes(load_recipe(recipe_file(recipe)), epochs, input_side, width)
    with Progress(console=Console(stderr=True)) as progress:
        rows = train_rows(recipes, data, out, device_kind(device), progress, limit)
    found = report(rows, recipes)
    (out / "stacks.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    click.echo(json.dumps(found) if as_json else markdown(found))
