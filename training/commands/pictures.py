"""`edge-pose-train pictures`."""

from __future__ import annotations

from pathlib import Path

import click

from training.commands.options import data_option, json_option, show


@click.command("pictures")
@click.argument("checkpoint_or_artifact")
@data_option
@click.option("--dataset", default="mpii", show_default=True, help="mpii, lsp, lspet, flic, coco.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--count", type=click.IntRange(1, 100), default=24, show_default=True)
@json_option
def pictures_command(
    checkpoint_or_artifact: str, data: Path, dataset: str, out: Path, count: int, as_json: bool
) -> None:
    """Draw what a network finds: worst, best and random people, heatmaps, stages, errors."""
    from training.pictures.write import write_pictures

    files = write_pictures(checkpoint_or_artifact, data, dataset, out, count)
    show({"pictures": [str(file) for file in files]}, as_json)
