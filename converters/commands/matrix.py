"""`edge-pose-convert matrix`: every format and precision of a checkpoint in one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from converters import CONVERTERS
from converters.commands.options import (
    FORMATS,
    PATH,
    PRECISIONS,
    data_options,
    gate_options,
    ladder_option,
)
from converters.settings import Settings
from converters.terminal import log_to, progress
from edge_pose.errors import EdgePoseError, UsageError

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
@ladder_option
@data_options
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def matrix_command(**options: Any) -> None:  # noqa: ANN401
    """Convert a checkpoint to all formats and precisions and compare them.

    One try each, or with --ladder as many as the conversion makes; latencies are of one inference,
    all in one run, turn by turn.
    """
    matrix(Request(**options))


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    checkpoint: Path
    out: Path | None
    page: Path | None
    formats: tuple[str, ...]
    precisions: tuple[str, ...]
    arch: str
    threads: tuple[int, ...]
    rounds: int
    ladder: bool
    data: Path | None
    generated: bool
    n_images: int
    seed: int
    limit_points: float | None
    limit_drift_px: float
    as_json: bool
    verbose: int

    @property
    def keys(self) -> list[tuple[str, str]]:
        """What to make, of CONVERTERS.

        Raises:
            UsageError: nothing makes it.
        """
        formats, precisions = self.formats or FORMATS, self.precisions or PRECISIONS
        wanted = [key for key in CONVERTERS if key[0] in formats and key[1] in precisions]
        if not wanted:
            raise UsageError(f"no converter makes {' '.join((*self.formats, *self.precisions))}")
        return wanted

    def settings(self) -> Settings:
        """Return how to make it."""
        return Settings(
            arch=self.arch,
            limit_points=self.limit_points,
            limit_drift_px=self.limit_drift_px,
            n_images=self.n_images,
            seed=self.seed,
            ladder=self.ladder,
        )


def matrix(request: Request) -> None:
    """Convert, measure, print the table and write what passes.

    Raises:
        EdgePoseError: an input is wrong, a place cannot be written, or nothing came out.
    """
    console = Console(file=sys.stderr)
    log_to(console, request.verbose)
    keys = request.keys
    # torch takes seconds to import: --help and wrong usage need none of it.
    from converters.data import open_data
    from converters.job import Job
    from converters.matrix import build_matrix

    _check_places(request.checkpoint, keys, request.out, request.page)
    with (
        progress(console) as steps,
        open_data(request.data, generated=request.generated, n_images=request.n_images) as data,
    ):
        job = Job(request.checkpoint, data, request.seed, steps)
        cells = build_matrix(
            job, request.settings(), keys=keys, threads=request.threads, rounds=request.rounds
        )
    _report(job.info.model, cells, request)
    if not any(cell.artifact for cell in cells):
        raise EdgePoseError("matrix: nothing could be converted, the table says why")


def _report(model: str, cells: Sequence[Cell], request: Request) -> None:
    """Print the table first: it took minutes, and what is written then can still fail."""
    from converters.folder import write_file
    from converters.matrix_report import as_json, html_page, notes, terminal_table

    if request.as_json:
        click.echo(json.dumps(as_json(model, cells)))
    else:
        terminal = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
        terminal.print(terminal_table(model, cells), *notes(cells), sep="\n")
    if request.page is not None:
        page = html_page(f"{model}: formats and precisions", cells)
        write_file(request.page, page.encode("utf-8"))
    if request.out is not None:
        _write(cells, request.out)


def _check_places(
    checkpoint: Path, keys: Sequence[tuple[str, str]], out: Path | None, page: Path | None
) -> None:
    """Make sure that everything can be written that may come out."""
    from converters.folder import check_file, check_target
    from converters.manifest import artifact_name
    from training.checkpoint import read_info

    model = read_info(checkpoint).model
    if out is not None:
        for key in keys:
            check_target(out / artifact_name(model, *key))
    if page is not None:
        check_file(page)


def _write(cells: Sequence[Cell], out: Path) -> None:
    """Write what passed."""
    from converters.build import write

    for cell in cells:
        if (artifact := cell.passed) is not None:
            write(artifact, out / artifact.manifest.name)
