"""`edge-pose-convert matrix`: every format and precision of a checkpoint in one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from converters import CONVERTERS
from converters.commands.options import FORMATS, PATH, PRECISIONS, data_options, gate_options
from converters.settings import Settings
from converters.terminal import log_to, progress

if TYPE_CHECKING:
    from converters.matrix import Cell

FILE_WIDTH = 160  # columns, where the table goes to a file


@click.command("matrix")
@click.option("--checkpoint", type=PATH, required=True, help="A .safetensors file.")
@click.option("--out", type=PATH, help="Folder for the artifacts that pass, one folder each.")
@click.option("--html", "page", type=PATH, help="Also write the table, with a plot, to this file.")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Only these.  [all]"
)
@click.option(
    "--precision", "precisions", type=click.Choice(PRECISIONS), multiple=True, help="Only these."
)
@click.option("--arch", default="", help="Processor to choose integers for.  [default: this]")
@click.option("--threads", type=click.IntRange(1, 256), multiple=True, default=(1, 2),
              show_default=True, help="Thread counts to time with.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 10_000), default=40, show_default=True,
              help="Timed runs of each.")  # fmt: skip
@data_options
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def matrix_command(
    checkpoint: Path,
    out: Path | None,
    page: Path | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    arch: str,
    threads: tuple[int, ...],
    rounds: int,
    data: Path | None,
    generated: bool,
    n_images: int,
    seed: int,
    limit_points: float | None,
    limit_drift_px: float,
    as_json: bool,
    verbose: int,
) -> None:
    """Convert a checkpoint to all formats and precisions and compare them.

    One try each, without the ladder; latencies are of one inference, all in one run, turn by turn.
    """
    console = Console(file=sys.stderr)
    log_to(console, verbose)
    wanted = [
        key
        for key in CONVERTERS
        if key[0] in (formats or FORMATS) and key[1] in (precisions or PRECISIONS)
    ]
    if not wanted:
        raise click.UsageError(f"no converter makes {' '.join((*formats, *precisions))}")
    # torch takes seconds to import: --help and wrong usage need none of it.
    from converters.data import open_data
    from converters.job import Job
    from converters.matrix import build_matrix
    from converters.matrix_report import as_json as to_json
    from converters.matrix_report import html_page, terminal_table
    from training.pictures.page import write_page

    settings = Settings(
        arch=arch,
        limit_points=limit_points,
        limit_drift_px=limit_drift_px,
        n_images=n_images,
        seed=seed,
    )
    _check_places(checkpoint, wanted, out, page)
    with (
        progress(console) as say,
        open_data(data, generated=generated, n_images=n_images) as pictures,
    ):
        job = Job(checkpoint, pictures, seed, say)
        cells = build_matrix(
            job, settings, keys=wanted, threads=threads, rounds=rounds, tick=say.tick
        )
    model = job.info.model
    # The table first: it took minutes, and what is written now can still fail.
    if as_json:
        click.echo(json.dumps(to_json(model, cells)))
    else:
        terminal = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
        terminal.print(terminal_table(model, cells))
    if page is not None:
        write_page(html_page(f"{model}: formats and precisions", cells), page)
    if out is not None:
        _write(cells, out)


def _check_places(
    checkpoint: Path, keys: Sequence[tuple[str, str]], out: Path | None, page: Path | None
) -> None:
    """Make sure that everything can be written that may come out."""
    from converters.folder import check_place, check_target
    from converters.manifest import artifact_name
    from training.checkpoint import read_info

    model = read_info(checkpoint).model
    if out is not None:
        for key in keys:
            check_target(out / artifact_name(model, *key))
    if page is not None:
        check_place(page)


def _write(cells: list[Cell], out: Path) -> None:
    """Write what passed."""
    from converters.build import write

    for cell in cells:
        gate = cell.artifact.manifest.gate if cell.artifact else None
        if cell.artifact is not None and gate is not None and gate.passed:
            write(cell.artifact, out / cell.artifact.manifest.name)
